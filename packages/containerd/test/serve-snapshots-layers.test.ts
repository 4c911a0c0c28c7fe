import { Code } from "@connectrpc/connect";
import { labelTarget } from "@varve/snapshots";
import type { CreateOptions, LayerPreparer, LayerRequest, PreparedLayer } from "@varve/snapshots";
import { expect, test } from "vitest";
import { MemorySnapshotter } from "./memory-snapshotter.ts";
import { served, servedSnapshotter } from "./served.ts";

const snapshotter = "it";
const target = "sha256:abc";
const labels = { [labelTarget]: target, "containerd.io/snapshot/cri.image-ref": "x" };

/** Has layers, as `answer` says. */
class RemoteSnapshotter extends MemorySnapshotter implements LayerPreparer {
  readonly requests: LayerRequest[] = [];
  answer: (request: LayerRequest, options: CreateOptions) => Promise<PreparedLayer>;

  constructor(answer: RemoteSnapshotter["answer"]) {
    super();
    this.answer = answer;
  }

  async prepareLayer(request: LayerRequest, options: CreateOptions = {}): Promise<PreparedLayer> {
    this.requests.push(request);
    return this.answer(request, options);
  }
}

test("a layer that a snapshotter has is told by AlreadyExists, and found by its label and parent (P-SN.4)", async () => {
  const backend = new RemoteSnapshotter(async ({ parent }) => {
    backend.put({ kind: "committed", name: "its own name", parent, labels: { mine: "1" } });
    return { state: "committed", name: "its own name" };
  });
  backend.put({ kind: "committed", name: "base", labels: {} });
  await using it = await servedSnapshotter(backend);
  const prepared = it.snapshots.prepare({ snapshotter, key: "default/3/extract", parent: "base", labels });
  await expect(prepared).rejects.toMatchObject({ code: Code.AlreadyExists });
  expect(backend.requests).toEqual([{ key: "default/3/extract", parent: "base", target }]);
  // As containerd asks for it.
  const filters = [`labels."containerd.io/snapshot.ref"==${target},parent=="base"`];
  const messages = await Array.fromAsync(it.snapshots.list({ snapshotter, filters }));
  expect(messages.flatMap(({ info }) => info)).toMatchObject([
    { name: "its own name", parent: "base", labels: { mine: "1", [labelTarget]: target } },
  ]);
  expect([...backend.entries.keys()]).toEqual(["base", "its own name"]);
});

test("one that is on another parent than was asked for is a fault of the snapshotter", async () => {
  const backend = new RemoteSnapshotter(async () => {
    backend.put({ kind: "committed", name: "c", labels: { [labelTarget]: target } });
    return { state: "committed", name: "c" };
  });
  await using it = await servedSnapshotter(backend);
  const prepared = it.snapshots.prepare({ snapshotter, key: "k", parent: "base", labels });
  await expect(prepared).rejects.toMatchObject({ code: Code.Internal });
  expect(it.failures).toMatchObject([{ method: "containerd.services.snapshots.v1.Snapshots/Prepare" }]);
});

test.each(["empty", "staged"] as const)(
  "the mounts of a layer that is %s are given as they are (U-SNX.5)",
  async (state) => {
    const mounts = [{ type: "bind", source: "/x", options: ["ro"] }];
    await using it = await servedSnapshotter(new RemoteSnapshotter(async () => ({ state, mounts })));
    expect((await it.snapshots.prepare({ snapshotter, key: "k", labels })).mounts).toMatchObject(mounts);
  },
);

test("a layer that was committed is shared, by its chain ID and on the same parent (P-SN.5, P-ACC.7)", async () => {
  const backend = new MemorySnapshotter();
  await using it = await servedSnapshotter(backend);
  const { snapshots } = it;
  const make = async (name: string, parent: string, ref: string): Promise<void> => {
    const request = { snapshotter, parent, labels: { [labelTarget]: ref } };
    await snapshots.prepare({ ...request, key: `extract ${name}` });
    await snapshots.commit({ ...request, name, key: `extract ${name}`, parent: "" });
  };
  await make("one/1/a", "", "sha256:a");
  await make("one/2/b", "one/1/a", "sha256:b");
  const again = (parent: string, ref: string): Promise<unknown> =>
    snapshots.prepare({ snapshotter, key: "two/3", parent, labels: { [labelTarget]: ref } });
  await expect(again("", "sha256:a")).rejects.toMatchObject({ code: Code.AlreadyExists });
  await expect(again("one/1/a", "sha256:b")).rejects.toMatchObject({ code: Code.AlreadyExists });
  expect([...backend.entries.keys()]).toEqual(["one/1/a", "one/2/b"]);
  // Also by who gives more than was asked for.
  backend.walk = () => MemorySnapshotter.prototype.walk.call(backend);
  await again("", "sha256:b");
  expect(backend.entries.get("two/3")).toMatchObject({ kind: "active" });
});

test("what is being unpacked is not shared, and nothing is where that is not wanted", async () => {
  const backend = new MemorySnapshotter();
  await using it = await served({ snapshotters: { it: backend }, shareLayers: false });
  await it.snapshots.prepare({ snapshotter, key: "a", labels });
  backend.put({ kind: "committed", name: "c", labels });
  await it.snapshots.prepare({ snapshotter, key: "b", labels });
  backend.entries.delete("c");
  await using sharing = await servedSnapshotter(backend);
  await sharing.snapshots.prepare({ snapshotter, key: "d", labels });
  expect([...backend.entries.keys()]).toEqual(["a", "b", "d"]);
});

test("what is not to become a layer is not asked for as one", async () => {
  const backend = new RemoteSnapshotter(async () => ({ state: "committed", name: "x" }));
  await using it = await servedSnapshotter(backend);
  await it.snapshots.prepare({ snapshotter, key: "container" });
  await it.snapshots.prepare({ snapshotter, key: "other", labels: { [labelTarget]: "" } });
  expect(backend.requests).toEqual([]);
  expect([...backend.entries.keys()]).toEqual(["container", "other"]);
});
