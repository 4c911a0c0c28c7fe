import { Code } from "@connectrpc/connect";
import type { Rebaser } from "@varve/snapshots";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
// What a client of the protocol sends.
import { Kind } from "../src/gen/containerd/services/snapshots/v1/snapshots_pb.js";
import { failureOf } from "./failure-of.ts";
import { MemorySnapshotter } from "./memory-snapshotter.ts";
import { served, servedSnapshotter } from "./served.ts";
import type { Served } from "./served.ts";

const snapshotter = "it";

async function listed(snapshots: Served["snapshots"], filters: readonly string[] = []): Promise<string[][]> {
  const messages = await Array.fromAsync(snapshots.list({ snapshotter, filters: [...filters] }));
  return messages.map(({ info }) => info.map(({ name }) => name));
}

test("a layer is prepared, committed, looked at and removed, keys with spaces and slashes (6.2, P-SN.1, P-SN.8)", async () => {
  await using it = await servedSnapshotter(new MemorySnapshotter());
  const { snapshots } = it;
  const key = "default/7/extract-123-ab_c sha256:0123";
  const labels = { "containerd.io/snapshot/x": "1" };
  const { mounts } = await snapshots.prepare({ snapshotter, key, labels });
  expect(mounts).toMatchObject([{ type: "bind", source: `/snapshots/${key}`, target: "", options: ["rw", "rbind"] }]);
  expect((await snapshots.mounts({ snapshotter, key })).mounts).toEqual(mounts);
  const { info } = await snapshots.stat({ snapshotter, key });
  expect(info).toMatchObject({ name: key, parent: "", kind: Kind.ACTIVE, labels });
  expect(info?.createdAt && timestampDate(info.createdAt)).toEqual(new Date(1_700_000_000_123));
  expect(info?.updatedAt && timestampDate(info.updatedAt)).toEqual(new Date(1_700_000_001_456));
  await snapshots.commit({ snapshotter, name: "default/8/a", key, labels: { b: "2" } });
  const committed = await snapshots.stat({ snapshotter, key: "default/8/a" });
  expect(committed.info).toMatchObject({ kind: Kind.COMMITTED, labels: { b: "2" } });
  await snapshots.view({ snapshotter, key: "v", parent: "default/8/a" });
  const view = await snapshots.stat({ snapshotter, key: "v" });
  expect(view.info).toMatchObject({ kind: Kind.VIEW, parent: "default/8/a", labels: {} });
  expect(await snapshots.usage({ snapshotter, key: "v" })).toMatchObject({ size: 2n ** 40n, inodes: 3n });
  await snapshots.remove({ snapshotter, key: "v" });
  await snapshots.remove({ snapshotter, key: "default/8/a" });
  expect(await listed(snapshots)).toEqual([]);
  expect(it.failures).toEqual([]);
});

test("each failure has the code that containerd expects of it (6.2, 6.5)", async () => {
  const backend = new MemorySnapshotter();
  await using it = await servedSnapshotter(backend);
  const { snapshots } = it;
  await snapshots.prepare({ snapshotter, key: "a" });
  await snapshots.commit({ snapshotter, name: "base", key: "a" });
  await snapshots.prepare({ snapshotter, key: "b", parent: "base" });
  const expected: [Promise<unknown>, Code, string][] = [
    [failureOf(snapshots.prepare({ snapshotter, key: "b" })), Code.AlreadyExists, "snapshot b: already exists"],
    [failureOf(snapshots.prepare({ snapshotter, key: "" })), Code.InvalidArgument, "snapshot: its name is empty"],
    [failureOf(snapshots.prepare({ snapshotter, key: "c", parent: "x" })), Code.NotFound, "snapshot x: not found"],
    [
      failureOf(snapshots.prepare({ snapshotter, key: "c", parent: "b" })),
      Code.InvalidArgument,
      "snapshot b: is not committed",
    ],
    [
      failureOf(snapshots.view({ snapshotter, key: "c", parent: "b" })),
      Code.InvalidArgument,
      "snapshot b: is not committed",
    ],
    [failureOf(snapshots.mounts({ snapshotter, key: "base" })), Code.FailedPrecondition, "snapshot base: is committed"],
    [failureOf(snapshots.mounts({ snapshotter, key: "x" })), Code.NotFound, "snapshot x: not found"],
    [
      failureOf(snapshots.commit({ snapshotter, name: "base", key: "b" })),
      Code.AlreadyExists,
      "snapshot base: already exists",
    ],
    [failureOf(snapshots.commit({ snapshotter, name: "n", key: "x" })), Code.NotFound, "snapshot x: not found"],
    [
      failureOf(snapshots.commit({ snapshotter, name: "n", key: "base" })),
      Code.FailedPrecondition,
      "snapshot base: is not active",
    ],
    [failureOf(snapshots.remove({ snapshotter, key: "base" })), Code.FailedPrecondition, "snapshot base: b is on it"],
    [failureOf(snapshots.remove({ snapshotter, key: "x" })), Code.NotFound, "snapshot x: not found"],
    [failureOf(snapshots.stat({ snapshotter, key: "x" })), Code.NotFound, "snapshot x: not found"],
    [failureOf(snapshots.usage({ snapshotter, key: "x" })), Code.NotFound, "snapshot x: not found"],
    [failureOf(snapshots.update({ snapshotter })), Code.InvalidArgument, "snapshot: there is none in the update"],
    [failureOf(snapshots.cleanup({ snapshotter })), Code.Unimplemented, "snapshotter it: has no cleanup"],
    [failureOf(listed(snapshots, ["name=="])), Code.InvalidArgument, "filter"],
  ];
  for (const [call, code, message] of expected) {
    expect(await call).toMatchObject({ code, rawMessage: expect.stringContaining(message) });
  }
  expect(it.failures).toEqual([]);
});

test("a name that is not served is told with those that are", async () => {
  const [one, two] = [new MemorySnapshotter(), new MemorySnapshotter()];
  await using it = await served({ snapshotters: { two, one } });
  await it.snapshots.prepare({ snapshotter: "two", key: "a" });
  expect([one.entries.size, two.entries.size]).toEqual([0, 1]);
  for (const name of ["", "three", "__proto__", "toString"]) {
    const rejected = it.snapshots.stat({ snapshotter: name, key: "a" });
    await expect(rejected).rejects.toMatchObject({
      code: Code.InvalidArgument,
      rawMessage: `snapshotter ${name}: is not served here, only one, two`,
    });
  }
});

test("labels are updated by masks, nothing else is (P-SN.9, C-SN.6)", async () => {
  const backend = new MemorySnapshotter();
  backend.put({ kind: "committed", name: "a", labels: { x: "1", y: "1" } });
  await using it = await servedSnapshotter(backend);
  const update = async (labels: Record<string, string>, ...paths: string[]): Promise<unknown> => {
    const { info } = await it.snapshots.update({ snapshotter, info: { name: "a", labels }, updateMask: { paths } });
    return info?.labels;
  };
  expect(await update({ x: "2", z: "2" }, "labels.x")).toEqual({ x: "2", y: "1" });
  expect(await update({}, "labels.x")).toEqual({ y: "1" });
  expect(await update({ z: "3" }, "labels")).toEqual({ z: "3" });
  expect(await update({ w: "4" })).toEqual({ w: "4" });
  await expect(update({ w: "5" }, "labels.w", "parent")).rejects.toMatchObject({ code: Code.InvalidArgument });
  expect(backend.entries.get("a")?.labels).toEqual({ w: "4" });
});

test("everything is listed in messages of a hundred, of less if the labels are long (P-SN.6)", async () => {
  const backend = new MemorySnapshotter();
  const names = Array.from({ length: 250 }, (_, index) => `snapshot ${index}`);
  for (const name of names) backend.put({ kind: "committed", name, labels: {} });
  await using it = await servedSnapshotter(backend);
  const messages = await listed(it.snapshots);
  expect(messages.map(({ length }) => length)).toEqual([100, 100, 50]);
  expect(messages.flat()).toEqual(names);
  expect(await listed(it.snapshots, ["name==none"])).toEqual([]);
  expect(await listed(it.snapshots, ['name=="snapshot 7"', 'name=="snapshot 8"'])).toEqual([
    ["snapshot 7", "snapshot 8"],
  ]);
  // More than a message may have, if they were all in one.
  const labels = Object.fromEntries(Array.from({ length: 60 }, (_, index) => [`label-${index}`, "x".repeat(4000)]));
  for (const name of names) backend.put({ kind: "committed", name, labels });
  expect((await listed(it.snapshots)).flat()).toEqual(names);
});

class RebasingSnapshotter extends MemorySnapshotter implements Rebaser {
  readonly rebased: string[] = [];

  async rebase(key: string, parent: string): ReturnType<Rebaser["rebase"]> {
    const info = this.find(key);
    this.find(parent);
    this.rebased.push(`${key} on ${parent}`);
    this.entries.set(key, { ...info, parent });
    return [];
  }
}

test("a commit on a parent puts it there first, if the name is free (C-MS.15, containerd 2.2)", async () => {
  const backend = new RebasingSnapshotter();
  backend.put({ kind: "committed", name: "base", labels: {} });
  await using it = await servedSnapshotter(backend);
  const { snapshots } = it;
  await snapshots.prepare({ snapshotter, key: "a" });
  const commit = (name: string, parent: string): Promise<unknown> =>
    snapshots.commit({ snapshotter, name, key: "a", parent });
  await expect(commit("base", "base")).rejects.toMatchObject({ code: Code.AlreadyExists });
  await expect(commit("", "base")).rejects.toMatchObject({ code: Code.InvalidArgument });
  expect(backend.rebased).toEqual([]);
  await expect(commit("c", "x")).rejects.toMatchObject({ code: Code.NotFound, rawMessage: "snapshot x: not found" });
  await commit("c", "base");
  expect(backend.rebased).toEqual(["a on base"]);
  expect(backend.entries.get("c")).toMatchObject({ kind: "committed", parent: "base" });
});

test("who cannot rebase commits on the own parent only", async () => {
  const backend = new MemorySnapshotter();
  for (const name of ["base", "other"]) backend.put({ kind: "committed", name, labels: {} });
  await using it = await servedSnapshotter(backend);
  await it.snapshots.prepare({ snapshotter, key: "a", parent: "base" });
  const commit = (parent: string): Promise<unknown> =>
    it.snapshots.commit({ snapshotter, name: "c", key: "a", parent });
  await expect(commit("other")).rejects.toMatchObject({ code: Code.Unimplemented });
  await commit("base");
  expect(backend.entries.get("c")?.parent).toBe("base");
});

test("cleanup reaches who can do it", async () => {
  let cleaned = 0;
  const backend = Object.assign(new MemorySnapshotter(), { cleanup: async () => void (cleaned += 1) });
  await using it = await servedSnapshotter(backend);
  await it.snapshots.cleanup({ snapshotter });
  expect(cleaned).toBe(1);
});
