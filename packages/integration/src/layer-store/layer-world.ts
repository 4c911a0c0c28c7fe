import assert from "node:assert/strict";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { createDiffer } from "@varve/differ";
import { digestOf } from "@varve/digest";
import { openLayerStore } from "@varve/layers";
import type { LayerInfo, LayerStore } from "@varve/layers";
import { removeStaleTemporaryMounts } from "@varve/mount";
import { createLinuxMounter } from "@varve/mount-linux";
import type { Snapshotter } from "@varve/snapshots";
import { listed } from "../faults/listed.ts";
import { openSnapshots } from "../faults/snapshot-world.ts";
import { deepest } from "./layer-model.ts";
import { bytesOf } from "./layer-store-scene.ts";
import type { Backend } from "./layer-store-scene.ts";

/** A layer store, and the snapshotter below it, in one root that may have been another process's. */
export interface LayerWorld extends AsyncDisposable {
  readonly root: string;
  readonly store: LayerStore;
  readonly snapshotter: Snapshotter;
  /** One more open store in the same root. */
  readonly another: () => Promise<LayerStore>;
}

const mounter = createLinuxMounter();

export async function openLayerWorld(backend: Backend, root: string): Promise<LayerWorld> {
  mkdirSync(root, { recursive: true });
  const stack = new AsyncDisposableStack();
  try {
    await removeStaleTemporaryMounts(mounter);
    const snapshotter = stack.use(await openSnapshots({ backend, durability: "none" }, root));
    const applier = stack.use(createDiffer({ mounter, concurrency: 1 }));
    const options = { root: join(root, "layers"), snapshotter, applier, mounter, maxDepth: deepest };
    const another = (): Promise<LayerStore> => openLayerStore({ ...options, durability: "none" });
    const store = stack.use(await another());
    return { root, store, snapshotter, another, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/**
 * Every layer has its snapshot and gives its exact tar, and there is nothing else: no snapshot, no records, nothing in
 * the scratch directory.
 *
 * @returns the layers
 */
export async function mustBeWhole({ another, root, snapshotter }: LayerWorld): Promise<readonly LayerInfo[]> {
  // Its references end with it, and nothing is removed by that.
  const store = await another();
  try {
    return await mustBeWholeIn(store, { root, snapshotter });
  } finally {
    await store.close();
  }
}

async function mustBeWholeIn(
  store: LayerStore,
  { root, snapshotter }: Pick<LayerWorld, "root" | "snapshotter">,
): Promise<readonly LayerInfo[]> {
  const layers = await listed(store.list());
  const names = (await listed(snapshotter.walk())).map(({ kind, name }) => `${kind} ${name}`);
  assert.deepEqual(names.toSorted(), layers.map(({ chainId }) => `committed ${chainId}`).toSorted(), "snapshots");
  const records = readdirSync(join(root, "layers/records"));
  assert.equal(records.length, layers.length, `records: ${records.join(", ")}`);
  assert.deepEqual(readdirSync(join(root, "layers/scratch")), [], "scratch");
  for (const { chainId, diffId } of layers) {
    const layer = await store.get(chainId);
    assert.equal(digestOf(await bytesOf(layer.tarStream())), diffId, `the tar of ${chainId}`);
  }
  return layers;
}
