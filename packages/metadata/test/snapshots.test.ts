import {
  canCheck,
  canCleanup,
  canPrepareLayers,
  canRebase,
  labelDiffId,
  labelTarget,
  labelUpperDirectory,
} from "@varve/snapshots";
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

// Cleaner: what has lost its files goes below, and its key is free at once.
test("the keys of active snapshots and views that are gone below are free", async () => {
  await using temp = await tempDir();
  const backend = new AbleSnapshotter();
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await metadata.namespace("default").snapshotter("fake");
  await snapshotter.prepare("active", undefined);
  await snapshotter.view("view", undefined);
  if (!canPrepareLayers(snapshotter)) throw new Error("the view lacks prepareLayer");
  await snapshotter.prepareLayer({ key: "layer", parent: undefined, target: "none" });
  backend.entries.clear();
  for (const key of ["active", "view", "layer"]) await snapshotter.prepare(key, undefined);
  expect([...backend.entries.keys()].map((key) => key.split("/").at(-1))).toEqual(["active", "view", "layer"]);
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
    const guards = [canRebase, canCleanup, canCheck, canPrepareLayers];
    expect(guards.map((guard) => guard(snapshotter))).toEqual(guards.map(() => isAble));
    if (canCleanup(snapshotter)) await snapshotter.cleanup();
    await snapshotter.close();
    await snapshotter[Symbol.asyncDispose]();
    expect(backend.closed).toBe(0);
    expect(await list(snapshotter.walk())).toEqual([]);
  }
});

// U-SN.7, S2.15
test("filters see the names of the namespace, and what they leave out is not asked for below", async () => {
  await using temp = await tempDir();
  const backend = new FakeSnapshotter();
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await metadata.namespace("default").snapshotter("fake");
  await commitEmpty(snapshotter, "base");
  await commitEmpty(await metadata.namespace("other").snapshotter("fake"), "base");
  await snapshotter.prepare("key", "base", { labels: { mine: "yes", [labelDiffId]: "d" } });
  const found = async (...filters: string[]): Promise<string[]> =>
    (await list(snapshotter.walk({ filters }))).map(({ name }) => name);
  backend.stats.clear();
  expect(await found("name==base")).toEqual(["base"]);
  expect([...backend.stats]).toEqual(["default/2/base"]);
  expect(await found("parent==base")).toEqual(["key"]);
  expect(await found("labels.mine==yes,kind==active")).toEqual(["key"]);
  expect(await found("name==base", `labels."${labelDiffId}"`)).toEqual(["base", "key"]);
  expect(await found("name~=default/")).toEqual([]);
  expect(await found("kind==committed", "kind==view")).toEqual(["base"]);
  expect(await found("kind==committed", "name==key")).toEqual(["base", "key"]);
  expect(await found("kind!=committed")).toEqual(["key"]);
  expect(await found("kind==committed,kind==active")).toEqual([]);
  expect(await found("kind.x==committed", "kind==other")).toEqual([]);
  expect(await found("")).toEqual(["base", "key"]);
});

// U-SN.7
test("a filter that cannot be read is an error before the first element", async () => {
  await using temp = await tempDir();
  await using metadata = await openOver(temp.path, new FakeSnapshotter());
  const snapshotter = await metadata.namespace("default").snapshotter("fake");
  await commitEmpty(snapshotter, "base");
  const seen: string[] = [];
  const walking = (async () => {
    for await (const { name } of snapshotter.walk({ filters: ["name==base", "name==="] })) seen.push(name);
  })();
  await expect(walking).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  expect(seen).toEqual([]);
});

// U-SN.8, U-OVL.13
test("where the snapshotter below has the files is shown and can be filtered by, and is recorded nowhere", async () => {
  await using temp = await tempDir();
  const backend = new FakeSnapshotter();
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await metadata.namespace("default").snapshotter("fake");
  await snapshotter.prepare("key", undefined, { labels: { mine: "yes" } });
  await snapshotter.prepare("other", undefined);
  const key = backend.active("default/1/key");
  backend.entries.set(key.name, { ...key, labels: { [labelUpperDirectory]: "/snapshots/1/fs" } });
  const labels = { mine: "yes", [labelUpperDirectory]: "/snapshots/1/fs" };
  expect((await snapshotter.stat("key")).labels).toEqual(labels);
  const filters = [`labels."${labelUpperDirectory}"`];
  expect(await list(snapshotter.walk({ filters }))).toMatchObject([{ name: "key", labels }]);
  expect((await snapshotter.update("key", { a: "b" })).labels).toEqual({ ...labels, a: "b" });
  expect(sql(temp.path, "SELECT labels FROM snapshots WHERE name = 'key'")).toEqual([
    { labels: JSON.stringify({ mine: "yes", a: "b" }) },
  ]);
});

// U-SN.5, U-MD.12
test("labels that are replaced are replaced below too, where only those meant for it are shown", async () => {
  await using temp = await tempDir();
  const backend = new FakeSnapshotter();
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await metadata.namespace("default").snapshotter("fake");
  await snapshotter.prepare("key", undefined, { labels: { [labelDiffId]: "a", [labelTarget]: "t", mine: "1" } });
  const labels = { [labelDiffId]: "b", other: "2" };
  expect((await snapshotter.update("key", { ...labels, mine: undefined }, { replace: true })).labels).toEqual(labels);
  expect((await snapshotter.stat("key")).labels).toEqual(labels);
  expect(backend.active("default/1/key").labels).toEqual({ [labelDiffId]: "b" });
  await snapshotter.update("key", { other: "3" }, { replace: true });
  expect((await snapshotter.stat("key")).labels).toEqual({ other: "3" });
  expect(backend.active("default/1/key").labels).toEqual({});
});

// U-SN.5, S2.14
test("the time of the last change grows with each, however fast they follow each other", async () => {
  await using temp = await tempDir();
  await using metadata = await openOver(temp.path, new FakeSnapshotter());
  const snapshotter = await metadata.namespace("default").snapshotter("fake");
  await snapshotter.prepare("key", undefined);
  const times = [(await snapshotter.stat("key")).updatedAt.getTime()];
  for (const a of ["1", "2", "3"]) times.push((await snapshotter.update("key", { a })).updatedAt.getTime());
  await snapshotter.commit("name", "key");
  const { createdAt, updatedAt } = await snapshotter.stat("name");
  times.push(updatedAt.getTime());
  expect(times).toEqual([...new Set(times)].toSorted((one, other) => one - other));
  expect(updatedAt.getTime()).toBeGreaterThanOrEqual(createdAt.getTime());
});

// U-MD.12
test("a check tells of this namespace's snapshots alone, under the names that they have in it", async () => {
  await using temp = await tempDir();
  const backend = new AbleSnapshotter();
  await using metadata = await openOver(temp.path, backend);
  const one = await metadata.namespace("one").snapshotter("fake");
  const two = await metadata.namespace("two").snapshotter("fake");
  for (const each of [one, two]) await commitEmpty(each, "base");
  if (!canCheck(one)) throw new Error("cannot check");
  const reason = new Error("enough");
  await expect(list(one.check({ signal: AbortSignal.abort(reason) }))).rejects.toBe(reason);
  for (const name of ["one/2/base", "two/4/base", "nobody's"]) {
    backend.problems.push({ name, kind: "replaced", message: `snapshot ${name}: /snapshots/1 is a link` });
  }
  expect(await list(one.check())).toEqual([
    { name: "base", kind: "replaced", message: "snapshot base: /snapshots/1 is a link" },
  ]);
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
