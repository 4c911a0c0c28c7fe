import { openClient } from "@varve/client";
import { expect, test } from "vitest";
import { testStore } from "./store.ts";
import type { TestStore } from "./store.ts";

interface Named {
  readonly name: string;
}

/** base ← middle ← (look, work), and other: the last three are a view and two active ones. */
async function filled(): Promise<TestStore> {
  const store = await testStore();
  await using client = await openClient({ root: store.path, snapshotter: "native", durability: "none" });
  const snapshots = await client.snapshotter();
  await snapshots.prepare("one", undefined);
  await snapshots.commit("base", "one");
  await snapshots.prepare("two", "base");
  await snapshots.commit("middle", "two", { labels: { team: "a" } });
  await snapshots.view("look", "middle");
  await snapshots.prepare("work", "middle");
  await snapshots.prepare("other", undefined);
  return store;
}

test("snapshots are listed with their parents first, and as a tree", async () => {
  await using store = await filled();
  expect((await store.run(["snapshots", "ls", "-q"])).stdout).toBe("base\nmiddle\nlook\nwork\nother\n");
  const { stdout } = await store.run(["snapshots", "ls"]);
  expect(stdout).toMatch(
    /^KIND +SIZE +INODES +NAME +PARENT\ncommitted +.* base +-\n[^]*\nview +0 B +0 +look +middle\n/,
  );
  expect((await store.run(["snapshots", "tree"])).stdout).toBe(
    "base\n  middle\n    look (view)\n    work (active)\nother (active)\n",
  );
  await expect(store.json("snapshots", "tree")).resolves.toMatchObject({
    snapshots: [
      { depth: 0, name: "base", kind: "committed" },
      { depth: 1, name: "middle", parent: "base", labels: { team: "a" } },
      { depth: 2, name: "look", kind: "view" },
      { depth: 2, name: "work", kind: "active" },
      { depth: 0, name: "other" },
    ],
  });
});

// U-SN.7
test("filters stand as arguments or after --filter, and one whose parent is not listed stands at the left", async () => {
  await using store = await filled();
  const names = async (...args: string[]): Promise<string> => (await store.run(["snapshots", ...args])).stdout;
  await expect(names("ls", "-q", "kind==view", "name==other")).resolves.toBe("look\nother\n");
  await expect(names("ls", "-q", "--filter", "parent==base", "kind==view")).resolves.toBe("middle\nlook\n");
  await expect(names("tree", "labels.team==a", "name==work")).resolves.toBe("middle\n  work (active)\n");
  await expect(names("tree", "name~=o")).resolves.toBe("look (view)\nwork (active)\nother (active)\n");
  expect(await store.run(["snapshots", "ls", "name==="])).toMatchObject({ code: 2, stdout: "" });
  expect(await store.run(["snapshots", "tree", "name==="])).toMatchObject({ code: 2, stdout: "" });
});

test("info is JSON, in lines for people and in one line with --json", async () => {
  await using store = await filled();
  const info = { kind: "committed", name: "middle", parent: "base", labels: { team: "a" } };
  const { stdout } = await store.run(["snapshots", "info", "middle"]);
  expect(stdout.split("\n").length).toBeGreaterThan(5);
  expect(JSON.parse(stdout)).toMatchObject(info);
  await expect(store.json("snapshots", "info", "middle")).resolves.toEqual(JSON.parse(stdout));
});

test("usage is of the snapshots that are named, or of all", async () => {
  await using store = await filled();
  const all = (await store.json("snapshots", "usage")) as { readonly usage: readonly Named[] };
  expect(all.usage.map(({ name }) => name)).toEqual(["base", "middle", "look", "work", "other"]);
  await expect(store.json("snapshots", "usage", "look", "work")).resolves.toMatchObject({
    usage: [
      { name: "look", bytes: 0, inodes: 0 },
      { name: "work", inodes: expect.any(Number) },
    ],
  });
  expect((await store.run(["snapshots", "usage", "look"])).stdout).toBe("SIZE  INODES  NAME\n0 B   0       look\n");
});

test("what is made by hand stays when the store is collected, until it is removed", async () => {
  await using store = await testStore();
  for (const [key, ...args] of [
    ["one", "prepare", "one"],
    ["base", "commit", "base", "one"],
    ["look", "view", "look", "base"],
    ["work", "prepare", "work", "base", "--label", "team=a"],
  ]) {
    expect(await store.run(["snapshots", ...args])).toEqual({ code: 0, stdout: `${key}\n`, stderr: "" });
  }
  await expect(store.json("gc")).resolves.toMatchObject({ removed: [] });
  await expect(store.json("snapshots", "rm", "look", "work")).resolves.toEqual({ removed: ["look", "work"] });
  await expect(store.json("gc")).resolves.toMatchObject({ removed: [] });
  await expect(store.json("snapshots", "ls")).resolves.toMatchObject({ snapshots: [{ name: "base" }] });
});

test("a snapshot that cannot be removed does not keep the others", async () => {
  await using store = await filled();
  const where = "(snapshotter native, namespace default)";
  expect(await store.run(["snapshots", "rm", "look", "nope", "middle", "work"])).toEqual({
    code: 3,
    stdout: "look\nwork\n",
    stderr:
      `varve: snapshot middle: cannot be removed: snapshot work stands on it ${where}\n` +
      `varve: snapshot nope: not found ${where}\n`,
  });
  expect(await store.run(["snapshots", "rm", "base", "nope"])).toMatchObject({ code: 1, stdout: "" });
});

test("a label of one's own takes the place of the one that keeps a snapshot", async () => {
  await using store = await testStore();
  await store.run(["snapshots", "prepare", "a", "--label", "x=y", "--label", "containerd.io/gc.root=mine"]);
  await expect(store.json("snapshots", "info", "a")).resolves.toMatchObject({
    labels: { x: "y", "containerd.io/gc.root": "mine" },
  });
});

test("what cannot be done is told with what and where, and by the exit code", async () => {
  await using store = await filled();
  const refusals = [
    ["info nope", 3, "snapshot nope: not found"],
    ["mounts nope", 3, "snapshot nope: not found"],
    ["usage base nope", 3, "snapshot nope: not found"],
    ["commit new nope", 3, "snapshot nope: not found"],
    ["prepare new nope", 3, "nope: not found"],
    ["prepare work", 1, "snapshot work: already exists"],
    ["view new work", 1, "snapshot work: cannot be a parent: is active"],
    ["commit base work", 1, "snapshot base: already exists"],
    ["commit new look", 1, "snapshot look: is view, not active"],
    ["mounts base", 1, "snapshot base: is committed"],
  ] as const;
  // None of them changes anything, so they may run at the same time.
  const outcomes = await Promise.all(refusals.map(([line]) => store.run(["snapshots", ...line.split(" ")])));
  for (const [index, [, code, says]] of refusals.entries()) {
    const outcome = outcomes[index];
    expect(outcome).toMatchObject({ code, stdout: "", stderr: expect.stringContaining(says) });
    expect(outcome?.stderr).toMatch(/^varve: [^\n]* \(snapshotter native, namespace default\)\n$/);
  }
});

test("another namespace and another snapshotter have snapshots of their own", async () => {
  await using store = await filled();
  await expect(store.json("snapshots", "ls", "-n", "other")).resolves.toEqual({ snapshots: [] });
  const outcome = await store.run(["snapshots", "info", "base", "-n", "other"]);
  expect(outcome).toMatchObject({ code: 3, stderr: expect.stringContaining("snapshotter native, namespace other") });
});

test("names that would steer a terminal are shown without that, and can be given as they are", async () => {
  await using store = await testStore();
  const key = "a\u001B[2J\nb\u202Ec";
  expect((await store.run(["snapshots", "prepare", key])).stdout).toBe("a?[2J?b?c\n");
  const shown = [["ls"], ["ls", "-q"], ["tree"], ["usage"], ["info", key], ["mounts", key], ["mounts", "--json", key]];
  const outcomes = await Promise.all(shown.map((args) => store.run(["snapshots", ...args])));
  for (const { code, stdout, stderr } of outcomes) {
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.replaceAll("\n", "")).not.toMatch(/[\p{Bidi_Control}\p{Cc}]/u);
  }
  await expect(store.json("snapshots", "info", key)).resolves.toMatchObject({ name: key });
  expect(await store.run(["snapshots", "rm", key])).toMatchObject({ code: 0, stdout: "a?[2J?b?c\n" });
});
