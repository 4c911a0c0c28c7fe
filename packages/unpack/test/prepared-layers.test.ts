import { CodedError } from "@varve/errors";
import { currentOwner } from "@varve/locks";
import { labelDiffId, labelOwner, labelParentChainId, labelTarget } from "@varve/snapshots";
import { applyLayer, applyLayers } from "@varve/unpack";
import { expect, test } from "vitest";
import { FakeApplier, FakeContent, imageOf, layerOf, textImage, textLayer } from "./fakes.ts";
import type { TestImage } from "./fakes.ts";
import { Harness } from "./harness.ts";
import { PreparingSnapshotter } from "./preparing-snapshotter.ts";

const texts = ["+a=1", "+b=2", "+c=3"];

type State = "committed" | "staged" | "empty";

interface World {
  readonly harness: Harness;
  readonly snapshotter: PreparingSnapshotter;
  readonly image: TestImage;
}

/** An image of which the snapshotter has some layers; a fetch of those is an error. */
function newWorld(states: readonly State[], layers: readonly string[] = texts): World {
  const snapshotter = new PreparingSnapshotter();
  const harness = new Harness({ rebase: true, snapshotter });
  const image = harness.add(textImage(harness.content, layers));
  for (const [index, state] of states.entries()) {
    if (state === "empty") continue;
    snapshotter.layers.set(image.chain[index] ?? "", state);
    const isNeeded = states.some((other, at) => other === "empty" && layers[at] === layers[index]);
    if (isNeeded) continue;
    harness.fetches.set(layerOf(image, index).blob.digest, () => {
      throw new Error("fetched a layer that is there");
    });
  }
  return { harness, snapshotter, image };
}

// U-MD.13, U-SNX.6, U-UNP.9
test("layers that a snapshotter has committed are neither fetched nor applied", async () => {
  const { harness, snapshotter, image } = newWorld(["committed", "committed", "committed"]);
  const [result] = await harness.pull([image]);
  expect(result?.chainId).toBe(image.chain[2]);
  expect(result?.layers.map(({ status }) => status)).toEqual(["exists", "exists", "exists"]);
  expect(harness.fetched).toEqual([]);
  expect(harness.applier.applied).toEqual([]);
  expect(snapshotter.calls.filter((call) => !call.startsWith("stat"))).toEqual([
    `prepareLayer ${image.chain[0]} on `,
    `prepareLayer ${image.chain[1]} on ${image.chain[0]}`,
    `prepareLayer ${image.chain[2]} on ${image.chain[1]}`,
  ]);
  // U-UNP.18: of blobs that are not stored none is labelled.
  expect([...harness.content.labels.keys()]).toEqual([image.config.digest]);
});

// U-SNX.5, C-UNP.3: each is asked for on its parent, for only then does a `LayerPreparer` know what it is asked for
test("layers that a snapshotter has staged are committed with the usual labels, and neither fetched nor applied", async () => {
  const { harness, snapshotter, image } = newWorld(["staged", "staged", "staged"]);
  const [result] = await harness.pull([image]);
  expect(result?.layers.map(({ status }) => status)).toEqual(["exists", "exists", "exists"]);
  expect(harness.fetched).toEqual([]);
  expect(harness.applier.applied).toEqual([]);
  expect(snapshotter.committed()).toEqual(image.chain);
  expect(snapshotter.active()).toEqual([]);
  expect(snapshotter.entries.get(image.chain[1] ?? "")).toMatchObject({
    parent: image.chain[0],
    labels: { [labelDiffId]: layerOf(image, 1).diff.digest, [labelParentChainId]: image.chain[0] },
  });
  expect(Object.keys(snapshotter.tree(image.chain[2] ?? ""))).toEqual(
    image.chain.map((chainId) => `of ${chainId}`).toSorted((one, other) => one.localeCompare(other)),
  );
  expect([...harness.content.labels.keys()]).toEqual([image.config.digest]);
});

test.each<readonly [State, State, State]>([
  ["committed", "empty", "staged"],
  ["staged", "committed", "empty"],
  ["empty", "staged", "committed"],
  ["empty", "empty", "empty"],
])("of layers that are %s, %s and %s only the empty ones are fetched and applied", async (...states) => {
  const { harness, snapshotter, image } = newWorld(states);
  const [result] = await harness.pull([image]);
  const empty = image.layers.filter((_, index) => states[index] === "empty").map(({ blob }) => blob.digest);
  expect(harness.fetched).toEqual(empty);
  expect(harness.applier.applied).toEqual(empty);
  expect(result?.layers.map(({ status }) => status)).toEqual(
    states.map((state) => (state === "empty" ? "unpacked" : "exists")),
  );
  expect(snapshotter.committed().toSorted()).toEqual([...image.chain].toSorted());
  expect(Object.keys(snapshotter.tree(image.chain[2] ?? ""))).toHaveLength(3);
  expect([...harness.content.labels.keys()].toSorted()).toEqual([...empty, image.config.digest].toSorted());
});

// U-UNP.10, U-UNP.11: a layer is asked for on top of its parent
test("no layer is fetched before it is known to be empty, and one after the other although it can rebase", async () => {
  const { harness, snapshotter, image } = newWorld(["empty", "empty", "empty"]);
  const gates = image.chain.map(() => Promise.withResolvers<void>());
  snapshotter.hooks.prepareLayer = (target) => gates[image.chain.findIndex((chainId) => chainId === target)]?.promise;
  const pulling = harness.pull([image]);
  for (const [index, gate] of gates.entries()) {
    await harness.until(() => snapshotter.requests.length === index + 1);
    await harness.settle();
    expect(harness.fetched).toHaveLength(index);
    expect(snapshotter.committed()).toHaveLength(index);
    gate.resolve();
  }
  await pulling;
  expect(snapshotter.calls.filter((call) => call.startsWith("rebase"))).toEqual([]);
});

// U-UNP.8, U-SNX.6
test("a request says what containerd's remote snapshotters are told, by the annotations of the layer", async () => {
  const snapshotter = new PreparingSnapshotter();
  const harness = new Harness({ snapshotter });
  const plain = textImage(harness.content, texts.slice(0, 2));
  const layers = plain.layers.map((layer) => ({
    ...layer,
    blob: { ...layer.blob, annotations: { "containerd.io/snapshot/cri.layer-digest": layer.blob.digest, other: "x" } },
  }));
  const image = harness.add(imageOf(harness.content, plain.config, layers));
  await harness.pull([image]);
  const [, second] = snapshotter.requests;
  expect(second?.request).toMatchObject({ parent: image.chain[0], target: image.chain[1] });
  expect(second?.options?.labels).toEqual({
    "containerd.io/snapshot/cri.layer-digest": layerOf(image, 1).blob.digest,
    [labelDiffId]: layerOf(image, 1).diff.digest,
    [labelOwner]: currentOwner(),
    [labelParentChainId]: image.chain[0],
    [labelTarget]: image.chain[1],
  });
});

// G-70
test("the events of a layer that is there end with a final one, and tell of no bytes", async () => {
  const { harness, image } = newWorld(["committed", "staged", "empty"]);
  await harness.pull([image]);
  const last = image.layers.map(({ blob }) => {
    const ours = harness.events.filter((event) => "descriptor" in event && event.descriptor.digest === blob.digest);
    return ours.map(({ type }) => type);
  });
  expect(last).toEqual([["exists"], ["exists"], ["applying", "applied", "committed"]]);
  expect(harness.events.at(1)).toEqual({
    type: "exists",
    descriptor: layerOf(image, 0).blob,
    what: "snapshot",
    chainId: image.chain[0],
  });
});

// S4.14a
test("a layer that an image has twice is fetched only for the place where it is empty", async () => {
  const { harness, snapshotter, image } = newWorld(
    ["committed", "empty", "staged", "empty"],
    ["+a=1", "+b=2", "+a=1", "+a=1"],
  );
  await harness.pull([image]);
  expect(harness.fetched).toEqual([1, 3].map((index) => layerOf(image, index).blob.digest));
  expect(snapshotter.committed()).toHaveLength(4);
});

test("the second time nobody is asked for a layer", async () => {
  const { harness, snapshotter, image } = newWorld(["committed", "staged", "empty"]);
  await harness.pull([image]);
  snapshotter.calls.length = 0;
  await harness.pull([image]);
  expect(snapshotter.calls).toEqual([`stat ${image.chain[2]}`]);
});

// U-UNP.9, U-UNP.15
test("a staged layer that another process commits first is thrown away", async () => {
  const { harness, snapshotter, image } = newWorld(["staged"], ["+a=1"]);
  snapshotter.hooks.commit = (name) => {
    snapshotter.entries.set(name, { kind: "committed", parent: undefined, labels: {}, files: new Map() });
  };
  const [result] = await harness.pull([image]);
  expect(result?.layers[0]?.status).toBe("exists");
  expect(snapshotter.active()).toEqual([]);
});

// S0.10, S0.15
test.each(["prepareLayer", "commit"] as const)(
  "when %s fails nothing above is asked for, fetched or left",
  async (call) => {
    const { harness, snapshotter, image } = newWorld(["committed", "staged", "empty"]);
    const failure = new CodedError("ERR_UNAVAILABLE", "snapshot: no");
    snapshotter.hooks[call] = (name) => {
      if (name === image.chain[1]) throw failure;
    };
    await expect(harness.pull([image])).rejects.toMatchObject({
      code: "ERR_UNAVAILABLE",
      message: expect.stringContaining(`layer ${layerOf(image, 1).blob.digest}: failed to `),
      cause: failure,
    });
    expect(snapshotter.requests).toHaveLength(2);
    expect(harness.fetched).toEqual([]);
    expect(snapshotter.committed()).toEqual([image.chain[0]]);
    expect(snapshotter.active()).toEqual([]);
  },
);

// U-UNP.17
test("a fetch that fails ends it, and leaves what is below", async () => {
  const { harness, snapshotter, image } = newWorld(["committed", "empty", "staged"]);
  const failure = new CodedError("ERR_UNAVAILABLE", "registry: no");
  harness.fetches.set(layerOf(image, 1).blob.digest, () => Promise.reject(failure));
  await expect(harness.pull([image])).rejects.toMatchObject({ code: "ERR_UNAVAILABLE", cause: failure });
  expect(snapshotter.committed()).toEqual([image.chain[0]]);
  expect(snapshotter.active()).toEqual([]);
});

test("an abort while a layer is asked for ends it with the reason", async () => {
  const { harness, snapshotter, image } = newWorld(["staged"], ["+a=1"]);
  const controller = new AbortController();
  const reason = new Error("enough");
  snapshotter.hooks.prepareLayer = () => controller.abort(reason);
  await expect(harness.pull([image], { signal: controller.signal })).rejects.toBe(reason);
  expect(snapshotter.requests[0]?.options?.signal?.reason).toBe(reason);
  expect(snapshotter.entries.size).toBe(0);
});

test("a layer that the snapshotter brings while its download is repeated is not written again", async () => {
  const { harness, snapshotter, image } = newWorld(["empty"], ["+a=1"]);
  const layer = layerOf(image, 0);
  harness.fetches.set(layer.blob.digest, async (_, { onIngest }) => {
    const ingest = harness.content.ingest("ref");
    onIngest("ref");
    ingest.write(layer.bytes.subarray(0, 2));
    await harness.until(() => harness.applier.running === 1);
    snapshotter.layers.set(image.chain[0] ?? "", "committed");
    ingest.truncate();
    harness.content.put(layer.bytes);
  });
  const [result] = await harness.pull([image]);
  expect(result?.layers[0]?.status).toBe("exists");
  expect(harness.applier.applied).toEqual([]);
  expect(snapshotter.entries.size).toBe(1);
});

test("a layer that is committed under another name than its chain ID is unpacked", async () => {
  const { harness, snapshotter, image } = newWorld([], ["+a=1"]);
  snapshotter.layers.set(image.chain[0] ?? "", "committed");
  snapshotter.nameOf = (target) => `elsewhere/${target}`;
  const [result] = await harness.pull([image]);
  expect(result?.layers[0]?.status).toBe("unpacked");
  expect(snapshotter.tree(image.chain[0] ?? "")).toEqual({ a: "1" });
});

// S0.3, S0.6
test("layers that are applied one by one are not read if the snapshotter has them", async () => {
  const content = new FakeContent();
  const snapshotter = new PreparingSnapshotter();
  const applier = new FakeApplier(content, snapshotter);
  const layers = texts.map((text) => textLayer(text));
  for (const layer of layers.slice(2)) content.put(layer.bytes);
  const image = textImage(content, texts);
  snapshotter.layers.set(image.chain[0] ?? "", "committed");
  snapshotter.layers.set(image.chain[1] ?? "", "staged");
  const events: string[] = [];
  const options = { snapshotter, applier, onProgress: ({ type }: { type: string }): unknown => events.push(type) };
  expect(await applyLayers(layers, options)).toBe(image.chain[2]);
  expect(content.opened).toEqual([layerOf(image, 2).blob.digest]);
  expect(snapshotter.committed()).toEqual(image.chain);
  expect(events).toEqual(["exists", "exists", "applying", "applied", "committed"]);
  snapshotter.entries.delete(image.chain[2] ?? "");
  snapshotter.layers.set(image.chain[2] ?? "", "staged");
  const below = layers.slice(0, 2).map(({ diff }) => diff.digest);
  expect(await applyLayer(layerOf(image, 2), below, options)).toBe(false);
});

// S0.8
test("an active snapshot under the chain ID of a layer is no layer", async () => {
  const { harness, snapshotter, image } = newWorld([], ["+a=1"]);
  const chainId = image.chain[0] ?? "";
  await snapshotter.prepare(chainId, undefined);
  await expect(harness.pull([image])).rejects.toMatchObject({
    code: "ERR_FAILED_PRECONDITION",
    cause: { message: `snapshot ${chainId}: is active, and stands in the way of a layer` },
  });
  expect([...snapshotter.entries.keys()]).toEqual([chainId]);
  snapshotter.entries.clear();
  // It comes while the layer is unpacked.
  snapshotter.hooks.commit = async () => {
    snapshotter.hooks = {};
    await snapshotter.prepare(chainId, undefined);
  };
  await expect(harness.pull([image])).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
  expect([...snapshotter.entries.keys()]).toEqual([chainId]);
});

// C-UNP.2: containerd guesses by the last mount, which is read-only then. Here the snapshotter says it.
test.each([
  { name: "no mounts", mounts: [] },
  { name: "a read-only mount", mounts: [{ type: "bind", source: "/x", options: ["ro"] }] },
  {
    name: "a read-only mount that is not the last",
    mounts: [
      { type: "bind", source: "/x", options: ["ro"] },
      { type: "bind", source: "/y", options: [] },
    ],
  },
])("$name do not tell that a layer is staged", async ({ mounts }) => {
  const { harness, image, snapshotter } = newWorld([], ["+a=1"]);
  const prepareLayer = snapshotter.prepareLayer.bind(snapshotter);
  const applied: unknown[] = [];
  for (const state of ["empty", "staged"] as const) {
    snapshotter.entries.clear();
    snapshotter.prepareLayer = async (request, options) => {
      await prepareLayer(request, options);
      return { state, mounts };
    };
    harness.applier.apply = async (layer, given) => {
      applied.push([state, given]);
      return { ...layer, digest: layerOf(image, 0).diff.digest };
    };
    const [result] = await harness.pull([image]);
    expect(result?.layers[0]?.status).toBe(state === "empty" ? "unpacked" : "exists");
  }
  expect(applied).toEqual([["empty", mounts]]);
});
