import { labelTarget, snapshotFilter } from "@varve/snapshots";
import type { Snapshotter } from "@varve/snapshots";
import type { Metadata } from "@varve/metadata";
import { CodedError } from "@varve/errors";
import { expect, test } from "vitest";
import { FakeSnapshotter } from "./fake-snapshotter.ts";
import { openOver, sql } from "./snapshot-store.ts";
import { list, tempDir } from "./temp.ts";

const labelled = (target: string): { labels: Record<string, string> } => ({ labels: { [labelTarget]: target } });

function remote(): FakeSnapshotter {
  return Object.assign(new FakeSnapshotter(), { isRemote: true });
}

async function make(snapshotter: Snapshotter, name: string, parent?: string): Promise<void> {
  await snapshotter.prepare(`${name}-tmp`, parent, labelled(name));
  await snapshotter.commit(name, `${name}-tmp`, labelled(name));
}

async function held(metadata: Metadata, namespace: string): Promise<string[]> {
  return (await list(metadata.namespace(namespace).leases.resources("mine"))).map(({ id }) => id);
}

// C-MD.4, U-MD.13
test("a second namespace takes over what is committed for a target, under its lease", async () => {
  await using temp = await tempDir();
  const backend = remote();
  await using metadata = await openOver(temp.path, backend);
  const one = await metadata.namespace("one").snapshotter("fake");
  await make(one, "a");
  const { leases } = metadata.namespace("two");
  await leases.create({ id: "mine" });
  const two = await metadata.namespace("two").under("mine").snapshotter("fake");
  await expect(two.prepare("a-tmp", undefined, labelled("a"))).rejects.toMatchObject({
    code: "ERR_ALREADY_EXISTS",
    message: "snapshot a: already exists and is committed",
  });
  const [theirs, ours] = [await one.stat("a"), await two.stat("a")];
  expect(ours).toMatchObject({ kind: "committed", name: "a", parent: undefined, labels: { [labelTarget]: "a" } });
  expect(ours.createdAt.getTime()).toBeGreaterThanOrEqual(theirs.createdAt.getTime());
  expect(await held(metadata, "two")).toEqual(["a"]);
  await expect(two.stat("a-tmp")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  // Both stand for one snapshot: it stays while one of them does.
  await one.remove("a");
  expect(backend.entries.size).toBe(1);
  await two.remove("a");
  expect(backend.entries.size).toBe(0);
});

// C-MD.4
test("what is only active elsewhere is not taken over, and two namespaces may commit the same name", async () => {
  await using temp = await tempDir();
  await using metadata = await openOver(temp.path, remote());
  const one = await metadata.namespace("one").snapshotter("fake");
  const two = await metadata.namespace("two").snapshotter("fake");
  await one.prepare("b-tmp", undefined, labelled("b"));
  await two.prepare("b-tmp", undefined, labelled("b"));
  await one.commit("b", "b-tmp", labelled("b"));
  await two.commit("b", "b-tmp", labelled("b"));
  await make(one, "c", "b");
  // Another b, so nothing to take over.
  await make(two, "c", "b");
  expect((await two.stat("c")).parent).toBe("b");
});

// U-MD.13 (b)
test("of several snapshots for a target the one on the right parent is taken over", async () => {
  await using temp = await tempDir();
  await using metadata = await openOver(temp.path, remote());
  const one = await metadata.namespace("one").snapshotter("fake");
  const two = await metadata.namespace("two").snapshotter("fake");
  for (const each of [one, two]) await each.prepare("b-tmp", undefined, labelled("b"));
  for (const each of [one, two]) await each.commit("b", "b-tmp", labelled("b"));
  for (const each of [two, one]) await make(each, "c", "b");
  const three = await metadata.namespace("three").snapshotter("fake");
  await expect(three.prepare("b-tmp", undefined, labelled("b"))).rejects.toMatchObject({ code: "ERR_ALREADY_EXISTS" });
  await expect(three.prepare("c-tmp", "b", labelled("c"))).rejects.toMatchObject({ code: "ERR_ALREADY_EXISTS" });
  const keys = sql(temp.path, "SELECT backend_key AS key FROM snapshots WHERE namespace = 'three' ORDER BY seq");
  expect(keys).toEqual([
    { key: expect.stringMatching(/^one\/[0-9]+\/b$/) },
    { key: expect.stringMatching(/^one\/[0-9]+\/c$/) },
  ]);
});

// C-MD.4, U-MD.13 (a)
test("a target that the namespace has is leased and exists, whatever the parent", async () => {
  await using temp = await tempDir();
  const backend = remote();
  await using metadata = await openOver(temp.path, backend);
  const namespace = metadata.namespace("default");
  await namespace.leases.create({ id: "mine" });
  const snapshotter = await namespace.snapshotter("fake");
  await make(snapshotter, "a");
  await make(snapshotter, "b", "a");
  backend.calls.length = 0;
  const leasing = await namespace.under("mine").snapshotter("fake");
  await expect(leasing.prepare("again", undefined, labelled("b"))).rejects.toMatchObject({
    code: "ERR_ALREADY_EXISTS",
    message: "snapshot b: already exists and is committed",
  });
  expect(await held(metadata, "default")).toEqual(["b"]);
  expect(backend.calls).toEqual([]);
});

test("who prepares what is being committed waits for it, and finds it", async () => {
  await using temp = await tempDir();
  const backend = new FakeSnapshotter();
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await metadata.namespace("default").snapshotter("fake");
  await snapshotter.prepare("one", undefined, labelled("a"));
  const going = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  backend.before.set("commit", () => {
    reached.resolve();
    return going.promise;
  });
  const committing = snapshotter.commit("a", "one", labelled("a"));
  await reached.promise;
  const preparing = snapshotter.prepare("two", undefined, labelled("a")).catch((error: unknown) => error);
  while (!backend.stats.has("default/2/a")) await new Promise((resolve) => setImmediate(resolve));
  going.resolve();
  await committing;
  expect(await preparing).toMatchObject({ code: "ERR_ALREADY_EXISTS" });
});

// C-MD.4
test("a parent that a third namespace does not know is not found, and nothing is left of the call", async () => {
  await using temp = await tempDir();
  await using metadata = await openOver(temp.path, remote());
  await make(await metadata.namespace("one").snapshotter("fake"), "a");
  const { leases } = metadata.namespace("three");
  await leases.create({ id: "mine" });
  const three = await metadata.namespace("three").under("mine").snapshotter("fake");
  await expect(three.prepare("b-tmp", "a", labelled("b"))).rejects.toMatchObject({
    code: "ERR_NOT_FOUND",
    message: "snapshot a: not found",
  });
  expect(await held(metadata, "three")).toEqual([]);
  expect(sql(temp.path, "SELECT name FROM snapshots WHERE namespace = 'three'")).toEqual([]);
});

// U-MD.13 (c)
test("what the snapshotter below says it has but does not show is not found", async () => {
  await using temp = await tempDir();
  const backend = new FakeSnapshotter();
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await metadata.namespace("default").snapshotter("fake");
  const says = new CodedError("ERR_ALREADY_EXISTS", "snapshot default/1/a-tmp: target a: already exists");
  backend.before.set("prepare", () => Promise.reject(says));
  await expect(snapshotter.prepare("a-tmp", undefined, labelled("a"))).rejects.toMatchObject({
    code: "ERR_NOT_FOUND",
    message: "snapshot a-tmp: target a without a parent: not found",
  });
  expect(sql(temp.path, "SELECT name FROM snapshots")).toEqual([]);
});

// U-MD.13 (c)
test("a parent that was made anew meanwhile is an error", async () => {
  await using temp = await tempDir();
  const backend = remote();
  await using metadata = await openOver(temp.path, backend);
  const one = await metadata.namespace("one").snapshotter("fake");
  await make(one, "a");
  await make(one, "b", "a");
  const two = await metadata.namespace("two").snapshotter("fake");
  await expect(two.prepare("a-tmp", undefined, labelled("a"))).rejects.toMatchObject({ code: "ERR_ALREADY_EXISTS" });
  const move = "UPDATE snapshots SET backend_key = 'elsewhere' WHERE namespace = 'two' AND name = 'a'";
  backend.before.set("prepare", async () => void sql(temp.path, move));
  await expect(two.prepare("b-tmp", "a", labelled("b"))).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  expect(sql(temp.path, "SELECT name FROM snapshots WHERE namespace = 'two'")).toEqual([{ name: "a" }]);
});

// U-MD.13 (b): filter on label and parent, both checked again
test.each([false, true])(
  "what is taken over is asked for with a filter; one that is ignored is no matter: %s",
  async (ignored) => {
    await using temp = await tempDir();
    const backend = Object.assign(remote(), { ignoresFilters: ignored });
    await using metadata = await openOver(temp.path, backend);
    const odd = 'a, "b"\\ ü\n\u0000\u{1f600}\ufffd|/';
    const one = await metadata.namespace("one").snapshotter("fake");
    const two = await metadata.namespace("two").snapshotter("fake");
    await make(one, "other");
    await make(one, odd);
    await make(one, `${odd}2`, odd);
    for (const [target, parent] of [
      [odd, undefined],
      [`${odd}2`, odd],
    ] as const) {
      await expect(two.prepare("key", parent, labelled(target))).rejects.toMatchObject({ code: "ERR_ALREADY_EXISTS" });
    }
    expect((await list(two.walk())).map(({ name, parent }) => [name, parent])).toEqual([
      [odd, undefined],
      [`${odd}2`, odd],
    ]);
    const filters = backend.walks.flatMap((walk) => walk ?? []);
    expect(filters).toHaveLength(2);
    const [first] = filters;
    const matches = snapshotFilter([first ?? "no"]);
    const found = [...backend.entries.values()].filter(matches);
    expect(found.map(({ labels }) => labels[labelTarget])).toEqual([odd]);
  },
);
