import type { Snapshotter } from "@varve/snapshots";
import { expect, test } from "vitest";
import { FakeSnapshotter } from "./fake-snapshotter.ts";
import { killOwners, openOver, sql } from "./snapshot-store.ts";
import { list, tempDir } from "./temp.ts";

/** Something that happens later, and a way to wait for its beginning. */
function gate(): { readonly reached: Promise<void>; readonly pass: () => Promise<void>; readonly open: () => void } {
  const reached = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  const pass = (): Promise<void> => {
    reached.resolve();
    return opened.promise;
  };
  return { reached: reached.promise, pass, open: opened.resolve };
}

async function names(snapshotter: Snapshotter): Promise<string[]> {
  return (await list(snapshotter.walk())).map(({ name }) => name);
}

async function commitChain(snapshotter: Snapshotter, chain: readonly string[]): Promise<void> {
  let parent: string | undefined;
  for (const name of chain) {
    await snapshotter.prepare(`${name}-active`, parent);
    await snapshotter.commit(name, `${name}-active`);
    parent = name;
  }
}

// K09
test("a snapshot that is being prepared is seen by nobody, and its key is taken", async () => {
  await using temp = await tempDir();
  const backend = new FakeSnapshotter();
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await metadata.namespace("default").snapshotter("fake");
  const { reached, pass, open } = gate();
  backend.before.set("prepare", pass);
  const preparing = snapshotter.prepare("key", undefined);
  await reached;
  backend.before.clear();
  await expect(snapshotter.stat("key")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  await expect(snapshotter.remove("key")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  expect(await names(snapshotter)).toEqual([]);
  await expect(snapshotter.prepare("key", undefined)).rejects.toMatchObject({ code: "ERR_ALREADY_EXISTS" });
  open();
  await preparing;
  expect(await names(snapshotter)).toEqual(["key"]);
});

// K09
test("a prepare that was killed keeps neither its parent nor its key", async () => {
  await using temp = await tempDir();
  const backend = new FakeSnapshotter();
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await metadata.namespace("default").snapshotter("fake");
  await commitChain(snapshotter, ["base"]);
  const { reached, pass } = gate();
  backend.before.set("prepare", pass);
  void snapshotter.prepare("key", "base");
  await reached;
  backend.before.clear();
  killOwners(temp.path);
  await snapshotter.remove("base");
  await snapshotter.prepare("key", undefined);
  await snapshotter.remove("key");
  expect(sql(temp.path, "SELECT name FROM snapshots")).toEqual([]);
});

// K12
test("a commit that was killed before it took effect leaves the active snapshot", async () => {
  await using temp = await tempDir();
  const backend = new FakeSnapshotter();
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await metadata.namespace("default").snapshotter("fake");
  await snapshotter.prepare("key", undefined);
  const { reached, pass } = gate();
  backend.before.set("commit", pass);
  void snapshotter.commit("name", "key");
  await reached;
  backend.before.clear();
  killOwners(temp.path);
  expect(await names(snapshotter)).toEqual(["key"]);
  await snapshotter.commit("name", "key");
  expect(await names(snapshotter)).toEqual(["name"]);
});

// K12
test("a commit that was killed after it took effect is whole, labels and lease included", async () => {
  await using temp = await tempDir();
  const backend = new FakeSnapshotter();
  await using metadata = await openOver(temp.path, backend);
  const namespace = metadata.namespace("default");
  await namespace.leases.create({ id: "mine" });
  const snapshotter = await namespace.under("mine").snapshotter("fake");
  await snapshotter.prepare("key", undefined);
  const { reached, pass } = gate();
  backend.after.set("commit", pass);
  void snapshotter.commit("name", "key", { labels: { "dev.varve/a": "b" } });
  await reached;
  backend.after.clear();
  killOwners(temp.path);
  expect(await names(snapshotter)).toEqual(["name"]);
  expect((await snapshotter.stat("name")).labels).toEqual({ "dev.varve/a": "b" });
  const held = await list(namespace.leases.resources("mine"));
  expect(held.map(({ id }) => id)).toContain("name");
  await snapshotter.prepare("key", "name");
});

test.each(["succeeds", "fails"])("who wants a name that is being committed waits until that %s", async (outcome) => {
  await using temp = await tempDir();
  const backend = new FakeSnapshotter();
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await metadata.namespace("default").snapshotter("fake");
  for (const key of ["one", "two"]) await snapshotter.prepare(key, undefined);
  const { reached, pass, open } = gate();
  backend.before.set("commit", async () => {
    await pass();
    if (outcome === "fails") throw new Error("failed");
  });
  const first = snapshotter.commit("name", "one").catch((error: unknown) => error);
  await reached;
  backend.before.clear();
  const second = snapshotter.commit("name", "two").catch((error: unknown) => error);
  // It has looked at least once when the first is let go on.
  while (!backend.stats.has("default/3/name")) await new Promise((resolve) => setImmediate(resolve));
  open();
  const errors = await Promise.all([first, second]);
  expect(errors[outcome === "fails" ? 0 : 1]).toMatchObject(
    outcome === "fails" ? { message: "failed" } : { code: "ERR_ALREADY_EXISTS" },
  );
  expect(await names(snapshotter)).toEqual(outcome === "fails" ? ["one", "name"] : ["two", "name"]);
});

// Of two calls that want the same key one succeeds
test("who removes what is committed at that moment does not find it, and the commit is whole", async () => {
  await using temp = await tempDir();
  const backend = new FakeSnapshotter();
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await metadata.namespace("default").snapshotter("fake");
  await snapshotter.prepare("key", undefined);
  // The removal has found the key, and then the commit is faster below.
  const { reached, pass, open } = gate();
  backend.before.set("commit", pass);
  const committing = snapshotter.commit("name", "key");
  await reached;
  backend.before.set("remove", async () => {
    open();
    await committing;
  });
  await expect(snapshotter.remove("key")).rejects.toMatchObject({
    code: "ERR_NOT_FOUND",
    message: "snapshot key: not found",
  });
  expect(await names(snapshotter)).toEqual(["name"]);
});

test("who commits what is removed at that moment does not find it, and nothing of it stays", async () => {
  await using temp = await tempDir();
  const backend = new FakeSnapshotter();
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await metadata.namespace("default").snapshotter("fake");
  await snapshotter.prepare("key", undefined);
  backend.before.set("commit", () => snapshotter.remove("key"));
  await expect(snapshotter.commit("name", "key")).rejects.toMatchObject({
    code: "ERR_NOT_FOUND",
    message: "snapshot key: not found",
  });
  expect([...backend.entries.keys()]).toEqual([]);
  expect(sql(temp.path, "SELECT name FROM snapshots")).toEqual([]);
});

// C03, G-44: the collector takes what has no record
test("who removes an active snapshot beside a collector has removed it", async () => {
  await using temp = await tempDir();
  const backend = new FakeSnapshotter();
  await using metadata = await openOver(temp.path, backend);
  await using collector = await openOver(temp.path, backend);
  const namespace = metadata.namespace("default");
  await namespace.leases.create({ id: "mine" });
  const snapshotter = await namespace.under("mine").snapshotter("fake");
  await snapshotter.prepare("key", undefined);
  backend.before.set("remove", async () => {
    backend.before.clear();
    await collector.collect();
  });
  await snapshotter.remove("key");
  expect([...backend.entries.keys()]).toEqual([]);
  expect(sql(temp.path, "SELECT name FROM snapshots")).toEqual([]);
  expect(await list(namespace.leases.resources("mine"))).toEqual([]);
});

const refusal = "CREATE TRIGGER refusal BEFORE DELETE ON snapshots BEGIN SELECT raise(ABORT, 'no'); END";

// K09
test("a record that cannot go is told, while its active snapshot is gone, and is the collector's then", async () => {
  await using temp = await tempDir();
  const backend = new FakeSnapshotter();
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await metadata.namespace("default").snapshotter("fake");
  await snapshotter.prepare("key", undefined);
  sql(temp.path, refusal);
  await expect(snapshotter.remove("key")).rejects.toMatchObject({ code: "ERR_INTERNAL" });
  expect(await names(snapshotter)).toEqual([]);
  sql(temp.path, "DROP TRIGGER refusal");
  await metadata.collect();
  expect(sql(temp.path, "SELECT name FROM snapshots")).toEqual([]);
});

// U-MD.15
test("an active snapshot that cannot be removed below is the collector's, unless its record cannot go either", async () => {
  await using temp = await tempDir();
  const backend = new FakeSnapshotter();
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await metadata.namespace("default").snapshotter("fake");
  await snapshotter.prepare("key", undefined);
  backend.before.set("remove", () => Promise.reject(new Error("busy")));
  sql(temp.path, refusal);
  await expect(snapshotter.remove("key")).rejects.toMatchObject({ code: "ERR_INTERNAL" });
  expect(await names(snapshotter)).toEqual(["key"]);
  sql(temp.path, "DROP TRIGGER refusal");
  await snapshotter.remove("key");
  expect(await names(snapshotter)).toEqual([]);
  expect([...backend.entries.keys()]).toHaveLength(1);
  backend.before.clear();
  await metadata.collect();
  expect([...backend.entries.keys()]).toEqual([]);
});

test("waiting for a commit ends with the reason of the signal", async () => {
  await using temp = await tempDir();
  const backend = new FakeSnapshotter();
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await metadata.namespace("default").snapshotter("fake");
  for (const key of ["one", "two"]) await snapshotter.prepare(key, undefined);
  const { reached, pass, open } = gate();
  backend.before.set("commit", pass);
  const first = snapshotter.commit("name", "one");
  await reached;
  const controller = new AbortController();
  const second = snapshotter.commit("name", "two", { signal: controller.signal }).catch((error: unknown) => error);
  // It has looked at least once.
  while (!backend.stats.has("default/3/name")) await new Promise((resolve) => setImmediate(resolve));
  const reason = new Error("enough");
  controller.abort(reason);
  expect(await second).toBe(reason);
  open();
  await first;
});

test("what was collected in the middle of its commit is not said to be committed", async () => {
  await using temp = await tempDir();
  const backend = new FakeSnapshotter();
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await metadata.namespace("default").snapshotter("fake");
  await snapshotter.prepare("key", undefined);
  backend.before.set("commit", async () => void sql(temp.path, "DELETE FROM snapshots"));
  await expect(snapshotter.commit("name", "key")).rejects.toMatchObject({ code: "ERR_UNAVAILABLE" });
});

// P07
test("numbers that an older database has given away are not used again", async () => {
  await using temp = await tempDir();
  const backend = new FakeSnapshotter();
  await backend.prepare("default/1/key", undefined);
  for (const name of ["default/3/name", "default/9/other"]) {
    await backend.prepare("active", undefined);
    await backend.commit(name, "active");
  }
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await metadata.namespace("default").snapshotter("fake");
  await snapshotter.prepare("new", undefined);
  await snapshotter.prepare("other", undefined);
  // Number 3 would be that of the old name.
  await snapshotter.commit("name", "new");
  expect(backend.entries.has("default/10/name")).toBe(true);
  await snapshotter.prepare("key", "name");
  expect((await names(snapshotter)).toSorted()).toEqual(["key", "name", "other"]);
});

// P07
test("a key that meets one of an older database gets another number", async () => {
  await using temp = await tempDir();
  const backend = new FakeSnapshotter();
  for (const key of ["default/1/key", "default/6/key"]) await backend.prepare(key, undefined);
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await metadata.namespace("default").snapshotter("fake");
  await snapshotter.prepare("key", undefined);
  expect([...backend.entries.keys()]).toContain("default/7/key");
});

// F12: as far as the snapshotter below knows it
test("snapshots that were lost below do not exist, and can be made again", async () => {
  await using temp = await tempDir();
  const backend = new FakeSnapshotter();
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await metadata.namespace("default").snapshotter("fake");
  await commitChain(snapshotter, ["one", "two", "three"]);
  backend.entries.clear();
  expect(await names(snapshotter)).toEqual([]);
  await expect(snapshotter.stat("three")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  await commitChain(snapshotter, ["one", "two", "three"]);
  expect(await names(snapshotter)).toEqual(["one", "two", "three"]);
});
