import { canCleanup, canRebase, labelTarget } from "@varve/snapshots";
import type { Snapshotter } from "@varve/snapshots";
import type { Metadata } from "@varve/metadata";
import { CodedError } from "@varve/errors";
import { expect, test } from "vitest";
import { AbleSnapshotter, FakeSnapshotter } from "./fake-snapshotter.ts";
import { openOver, sql } from "./snapshot-store.ts";
import { list, tempDir } from "./temp.ts";

async function commitEmpty(snapshotter: Snapshotter, name: string, parent?: string): Promise<void> {
  await snapshotter.prepare(`${name}-active`, parent);
  await snapshotter.commit(name, `${name}-active`);
}

async function leased(metadata: Metadata, lease: string): Promise<string[]> {
  const resources = await list(metadata.namespace("default").leases.resources(lease));
  return resources.map(({ id }) => id);
}

// U-MD.12
test("the snapshotter below sees keys of its own, translated parents and only the labels meant for it", async () => {
  await using temp = await tempDir();
  const backend = new FakeSnapshotter();
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await metadata.namespace("default").snapshotter("fake");
  await commitEmpty(snapshotter, "base");
  const labels = { "containerd.io/snapshot/diff-id": "a", "dev.varve/snapshot.owner": "b", other: "c" };
  await snapshotter.prepare("key", "base", { labels });
  const [base, key] = [...backend.entries.values()];
  expect(base?.name).toBe("default/2/base");
  expect(key).toMatchObject({ name: "default/3/key", parent: "default/2/base" });
  expect(key?.labels).toEqual({ "containerd.io/snapshot/diff-id": "a" });
  expect(await snapshotter.stat("key")).toMatchObject({ name: "key", parent: "base", labels });
});

// C-MD.5
test.each([
  ["none", {}, {}],
  ["only others", { a: "1", "containerd.io/gc.root": "2" }, {}],
  ["the target", { [labelTarget]: "t" }, { [labelTarget]: "t" }],
  ["one with the prefix", { "containerd.io/snapshot/x": "1", a: "2" }, { "containerd.io/snapshot/x": "1" }],
  ["one that only begins alike", { "containerd.io/snapshot": "1", "containerd.io/snapshots/x": "2" }, {}],
  [
    "all kinds",
    { "containerd.io/snapshot/x": "", [labelTarget]: "t", z: "1" },
    { "containerd.io/snapshot/x": "", [labelTarget]: "t" },
  ],
])("of the labels of a commit and an update those are inherited: %s", async (_, labels, inherited) => {
  await using temp = await tempDir();
  const backend = new FakeSnapshotter();
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await metadata.namespace("default").snapshotter("fake");
  await snapshotter.prepare("key", undefined);
  await snapshotter.update("key", labels);
  expect(backend.entries.get("default/1/key")?.labels).toEqual(inherited);
  await snapshotter.commit("name", "key", { labels });
  expect(backend.entries.get("default/2/name")?.labels).toEqual(inherited);
  expect((await snapshotter.stat("name")).labels).toEqual(labels);
});

test("the same key in two namespaces is two snapshots", async () => {
  await using temp = await tempDir();
  await using metadata = await openOver(temp.path, new FakeSnapshotter());
  const one = await metadata.namespace("one").snapshotter("fake");
  const two = await metadata.namespace("two").snapshotter("fake");
  await one.prepare("key", undefined, { labels: { of: "one" } });
  await expect(two.stat("key")).rejects.toMatchObject({ code: "ERR_NOT_FOUND", message: "snapshot key: not found" });
  await two.prepare("key", undefined, { labels: { of: "two" } });
  await two.remove("key");
  expect((await one.stat("key")).labels).toEqual({ of: "one" });
  expect((await list(metadata.namespaces.list())).map(({ name }) => name)).toEqual(["one", "two"]);
});

test("an error from below names the caller's keys and keeps what was said below as its cause", async () => {
  await using temp = await tempDir();
  const backend = new AbleSnapshotter();
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await metadata.namespace("default").snapshotter("fake");
  await commitEmpty(snapshotter, "base");
  await expect(snapshotter.mounts("base")).rejects.toMatchObject({
    code: "ERR_FAILED_PRECONDITION",
    message: "snapshot base: is committed",
    cause: expect.objectContaining({ message: "snapshot default/2/base: is committed" }),
  });
  backend.before.set("prepare", async () => {
    throw new CodedError("ERR_UNAVAILABLE", "snapshot default/3/key: parent default/2/base: busy");
  });
  await expect(snapshotter.prepare("key", "base")).rejects.toMatchObject({
    code: "ERR_UNAVAILABLE",
    message: "snapshot key: parent base: busy",
  });
});

test("a view has the capabilities of the snapshotter below, and closing it closes nothing", async () => {
  await using temp = await tempDir();
  for (const backend of [new FakeSnapshotter(), new AbleSnapshotter()]) {
    await using metadata = await openOver(temp.path, backend);
    const snapshotter = await metadata.namespace("default").snapshotter("fake");
    const isAble = backend instanceof AbleSnapshotter;
    expect([canRebase(snapshotter), canCleanup(snapshotter)]).toEqual([isAble, isAble]);
    if (canCleanup(snapshotter)) await snapshotter.cleanup();
    await snapshotter.close();
    await snapshotter[Symbol.asyncDispose]();
    expect(backend.closed).toBe(0);
    expect(await list(snapshotter.walk())).toEqual([]);
  }
});

// U-MD.16
test("a walk over more than a page lists each once, and may be used to stat them", async () => {
  await using temp = await tempDir();
  await using metadata = await openOver(temp.path, new FakeSnapshotter());
  const snapshotter = await metadata.namespace("default").snapshotter("fake");
  const keys = Array.from({ length: 250 }, (_, index) => `key-${index}`);
  for (const key of keys) await snapshotter.prepare(key, undefined);
  const seen: string[] = [];
  for await (const { name } of snapshotter.walk()) seen.push((await snapshotter.stat(name)).name);
  expect(seen).toEqual(keys);
});

test("what is created under a lease is held by it, and a commit moves the hold to the name", async () => {
  await using temp = await tempDir();
  await using metadata = await openOver(temp.path, new FakeSnapshotter());
  const namespace = metadata.namespace("default");
  await namespace.leases.create({ id: "mine" });
  await namespace.leases.create({ id: "other" });
  const snapshotter = await namespace.under("mine").snapshotter("fake");
  await snapshotter.prepare("key", undefined);
  await namespace.leases.add("other", { type: "snapshot", snapshotter: "fake", id: "key" });
  expect(await leased(metadata, "mine")).toEqual(["key"]);
  await snapshotter.commit("name", "key");
  expect(await leased(metadata, "mine")).toEqual(["name"]);
  expect(await leased(metadata, "other")).toEqual(["name"]);
  await snapshotter.remove("name");
  expect(await leased(metadata, "mine")).toEqual([]);
  const nobody = await namespace.under("nobody").snapshotter("fake");
  await expect(nobody.prepare("key", undefined)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
});

// G-44: an unpacker builds on a layer that another has made, whose lease may end
test("a committed snapshot that is found to exist is held from then on", async () => {
  await using temp = await tempDir();
  await using metadata = await openOver(temp.path, new FakeSnapshotter());
  const namespace = metadata.namespace("default");
  await namespace.leases.create({ id: "mine" });
  const unleased = await namespace.snapshotter("fake");
  await commitEmpty(unleased, "name");
  await unleased.prepare("key", "name");
  const snapshotter = await namespace.under("mine").snapshotter("fake");
  await snapshotter.stat("key");
  expect(await leased(metadata, "mine")).toEqual([]);
  await snapshotter.stat("name");
  expect(await leased(metadata, "mine")).toEqual(["name"]);
});

// C-MD.4: the last step of it
test("a prepare that fails leaves no record and no lease, also when its caller is gone", async () => {
  await using temp = await tempDir();
  const backend = new FakeSnapshotter();
  await using metadata = await openOver(temp.path, backend);
  const namespace = metadata.namespace("default");
  await namespace.leases.create({ id: "mine" });
  const snapshotter = await namespace.under("mine").snapshotter("fake");
  const controller = new AbortController();
  const reason = new Error("enough");
  backend.before.set("prepare", async () => controller.abort(reason));
  await expect(snapshotter.prepare("key", undefined, { signal: controller.signal })).rejects.toBe(reason);
  expect(sql(temp.path, "SELECT name FROM snapshots")).toEqual([]);
  expect(await leased(metadata, "mine")).toEqual([]);
});

// U-MD.14
test("a commit to a taken name leases it and leaves the active snapshot and its labels as they were", async () => {
  await using temp = await tempDir();
  await using metadata = await openOver(temp.path, new FakeSnapshotter());
  const namespace = metadata.namespace("default");
  await namespace.leases.create({ id: "mine" });
  const unleased = await namespace.snapshotter("fake");
  await commitEmpty(unleased, "name");
  await unleased.prepare("key", undefined, { labels: { a: "b" } });
  const before = await unleased.stat("key");
  const snapshotter = await namespace.under("mine").snapshotter("fake");
  await expect(snapshotter.commit("name", "key")).rejects.toMatchObject({
    code: "ERR_ALREADY_EXISTS",
    message: "snapshot name: already exists and is committed",
  });
  expect(await leased(metadata, "mine")).toEqual(["name"]);
  expect(await unleased.stat("key")).toEqual(before);
});

test("a commit that fails below leaves the name free and the active snapshot usable", async () => {
  await using temp = await tempDir();
  const backend = new FakeSnapshotter();
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await metadata.namespace("default").snapshotter("fake");
  await snapshotter.prepare("key", undefined);
  const full = Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
  backend.before.set("commit", () => Promise.reject(full));
  await expect(snapshotter.commit("name", "key")).rejects.toBe(full);
  backend.before.clear();
  expect((await snapshotter.stat("key")).kind).toBe("active");
  await snapshotter.commit("name", "key");
  expect((await list(snapshotter.walk())).map(({ name }) => name)).toEqual(["name"]);
});

test("a snapshot whose parent cannot be set below has none", async () => {
  await using temp = await tempDir();
  const backend = new AbleSnapshotter();
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await metadata.namespace("default").snapshotter("fake");
  if (!canRebase(snapshotter)) throw new Error("cannot rebase");
  await commitEmpty(snapshotter, "base");
  await snapshotter.prepare("key", undefined);
  backend.before.set("rebase", () => Promise.reject(new Error("failed")));
  await expect(snapshotter.rebase("key", "base")).rejects.toThrow("failed");
  expect((await snapshotter.stat("key")).parent).toBeUndefined();
  await snapshotter.remove("base");
});

// U-MD.15, K15
test("a removed name is free even if the snapshot below could not be removed", async () => {
  await using temp = await tempDir();
  const backend = new FakeSnapshotter();
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await metadata.namespace("default").snapshotter("fake");
  await snapshotter.prepare("key", undefined);
  backend.before.set("remove", () => Promise.reject(new Error("busy")));
  await snapshotter.remove("key");
  expect([...backend.entries.keys()]).toEqual(["default/1/key"]);
  await expect(snapshotter.stat("key")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  await snapshotter.prepare("key", undefined);
  expect([...backend.entries.keys()]).toEqual(["default/1/key", "default/2/key"]);
});

// U-MD.15
test("a snapshot that others stand on stays, and the message says which", async () => {
  await using temp = await tempDir();
  await using metadata = await openOver(temp.path, new FakeSnapshotter());
  const snapshotter = await metadata.namespace("default").snapshotter("fake");
  await commitEmpty(snapshotter, "base");
  await snapshotter.view("look", "base");
  await expect(snapshotter.remove("base")).rejects.toMatchObject({
    code: "ERR_FAILED_PRECONDITION",
    message: "snapshot base: cannot be removed: snapshot look stands on it",
  });
});
