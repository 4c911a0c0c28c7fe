import { Code, ConnectError } from "@connectrpc/connect";
import type { ServiceImpl } from "@connectrpc/connect";
import { connectContainerd } from "@varve/containerd";
import type { Snapshotter } from "@varve/snapshots";
import { canCleanup } from "@varve/snapshots";
import { expect, test } from "vitest";
import { Kind, Snapshots } from "../src/gen/containerd/services/snapshots/v1/snapshots_pb.js";
import { startFake } from "./fake-containerd.ts";

interface FakeSnapshotter extends AsyncDisposable {
  readonly snapshotter: Snapshotter;
}

async function startSnapshots(service: Partial<ServiceImpl<typeof Snapshots>>): Promise<FakeSnapshotter> {
  const fake = await startFake((router) => router.service(Snapshots, service));
  const containerd = connectContainerd({ address: fake.address });
  return {
    snapshotter: containerd.snapshotter("overlayfs"),
    [Symbol.asyncDispose]: async () => {
      await containerd.close();
      await fake[Symbol.asyncDispose]();
    },
  };
}

test("what is asked for goes to the snapshotter that is named, and comes back as it is (6.2)", async () => {
  const requests: unknown[] = [];
  const mount = { type: "overlay", source: "overlay", target: "", options: ["lowerdir=/a:/b"] };
  await using fake = await startSnapshots({
    prepare: (request) => {
      requests.push({ ...request, labels: { ...request.labels } });
      return { mounts: [mount] };
    },
    view: (request) => {
      requests.push({ ...request, labels: { ...request.labels } });
      return { mounts: [{ ...mount, target: "below" }] };
    },
    commit: (request) => {
      requests.push({ ...request, labels: { ...request.labels } });
      return {};
    },
    usage: () => ({ size: 2n ** 40n, inodes: 3n }),
  });
  const { snapshotter } = fake;
  const { target, ...bare } = mount;
  expect(await snapshotter.prepare("key", undefined, { labels: { a: "1" } })).toEqual([bare]);
  expect(await snapshotter.view("view", "parent")).toEqual([{ ...bare, target: `${target}below` }]);
  await snapshotter.commit("name", "key", { labels: { b: "2" } });
  expect(await snapshotter.usage("name")).toEqual({ bytes: 2 ** 40, inodes: 3 });
  expect(requests).toMatchObject([
    { snapshotter: "overlayfs", key: "key", parent: "", labels: { a: "1" } },
    { snapshotter: "overlayfs", key: "view", parent: "parent", labels: {} },
    { snapshotter: "overlayfs", name: "name", key: "key", labels: { b: "2" } },
  ]);
});

test("kinds that nobody knows are committed ones, and times before 1970 are none (6.2, P-SN.8)", async () => {
  const kinds = [Kind.VIEW, Kind.ACTIVE, Kind.COMMITTED, Kind.UNKNOWN];
  await using fake = await startSnapshots({
    async *list() {
      // Go's time that is none.
      const none = { seconds: -62_135_596_800n, nanos: 0 };
      yield { info: kinds.map((kind, index) => ({ name: String(index), kind, createdAt: none })) };
      yield { info: [] };
      yield { info: [{ name: "last", parent: "0", kind: Kind.ACTIVE, labels: { a: "1" } }] };
    },
  });
  const all = [];
  for await (const info of fake.snapshotter.walk()) all.push(info);
  expect(all.map(({ kind }) => kind)).toEqual(["view", "active", "committed", "committed", "active"]);
  expect(all[0]).toEqual({
    name: "0",
    kind: "view",
    labels: {},
    createdAt: new Date(0),
    updatedAt: new Date(0),
  });
  expect(all.at(-1)).toMatchObject({ name: "last", parent: "0", labels: { a: "1" } });
});

test("the empty text names nothing, although containerd would take it for no parent (6.2 Prepare)", async () => {
  await using fake = await startSnapshots({});
  const { snapshotter } = fake;
  const missing = { code: "ERR_NOT_FOUND" };
  await expect(snapshotter.prepare("key", "")).rejects.toMatchObject(missing);
  await expect(snapshotter.view("key", "")).rejects.toMatchObject(missing);
  await expect(snapshotter.stat("")).rejects.toMatchObject(missing);
  await expect(snapshotter.remove("")).rejects.toMatchObject(missing);
  const wrong = { code: "ERR_INVALID_ARGUMENT" };
  await expect(snapshotter.prepare("", undefined)).rejects.toMatchObject(wrong);
  await expect(snapshotter.commit("", "key")).rejects.toMatchObject(wrong);
});

test("of a wrong argument the parent is told from the others (6.2 Prepare)", async () => {
  let kind = Kind.ACTIVE;
  await using fake = await startSnapshots({
    prepare: () => {
      throw new ConnectError("something is wrong", Code.InvalidArgument);
    },
    stat: ({ key }) => ({ info: { name: key, kind } }),
  });
  const prepare = (): Promise<unknown> => fake.snapshotter.prepare("key", "parent");
  await expect(prepare()).rejects.toMatchObject({
    code: "ERR_FAILED_PRECONDITION",
    message: "snapshot parent: is not committed",
  });
  kind = Kind.COMMITTED;
  const wrong = { code: "ERR_INVALID_ARGUMENT", message: "containerd: something is wrong" };
  await expect(prepare()).rejects.toMatchObject(wrong);
  await expect(fake.snapshotter.prepare("key", undefined)).rejects.toMatchObject(wrong);
});

test("a commit that misses files is told from one of what is not active (6.2 Commit)", async () => {
  let kind = Kind.ACTIVE;
  await using fake = await startSnapshots({
    commit: () => {
      throw new ConnectError("lstat /x/fs: no such file or directory", Code.Unknown);
    },
    stat: ({ key }) => ({ info: { name: key, kind } }),
  });
  const commit = (): Promise<unknown> => fake.snapshotter.commit("name", "key");
  await expect(commit()).rejects.toMatchObject({ code: "ERR_DATA_LOSS", message: "snapshot key: its files are gone" });
  kind = Kind.VIEW;
  await expect(commit()).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
});

test("without a change labels are looked at only, as no path at all would replace them (6.2 Update)", async () => {
  const updates: (readonly string[] | undefined)[] = [];
  const info = { name: "a", kind: Kind.ACTIVE, labels: { kept: "yes" } };
  await using fake = await startSnapshots({
    stat: () => ({ info }),
    update: ({ updateMask }) => {
      updates.push(updateMask?.paths);
      return { info };
    },
  });
  expect(await fake.snapshotter.update("a", {})).toMatchObject({ labels: { kept: "yes" } });
  expect(updates).toEqual([]);
  await fake.snapshotter.update("a", { "b.c/d": "1", gone: undefined });
  await fake.snapshotter.update("a", {}, { replace: true });
  expect(updates).toEqual([["labels.b.c/d", "labels.gone"], ["labels"]]);
});

test("a snapshotter that has nothing to clean up is clean, and one that fails says why (6.2 Cleanup)", async () => {
  let code = Code.Unimplemented;
  await using fake = await startSnapshots({
    cleanup: () => {
      throw new ConnectError("cleanup", code);
    },
  });
  const { snapshotter } = fake;
  if (!canCleanup(snapshotter)) throw new Error("has no cleanup");
  await snapshotter.cleanup();
  code = Code.Unavailable;
  await expect(snapshotter.cleanup()).rejects.toMatchObject({ code: "ERR_UNAVAILABLE" });
});

test("a closed snapshotter does nothing more", async () => {
  await using fake = await startSnapshots({ stat: () => ({ info: { name: "a" } }) });
  const { snapshotter } = fake;
  await snapshotter.stat("a");
  await snapshotter.close();
  await snapshotter.close();
  await expect(snapshotter.stat("a")).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
  await expect(snapshotter.prepare("a", undefined)).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
  const walk = snapshotter.walk()[Symbol.asyncIterator]();
  await expect(walk.next()).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
});
