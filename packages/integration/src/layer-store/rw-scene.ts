import { readFile } from "node:fs/promises";
import type { LayerInfo, LayerStore, LayerStoreOptions, RWLayer } from "@varve/layers";
import { dir, file, layerOf } from "../layers/layer-of.ts";
import { LayerStoreScene } from "./layer-store-scene.ts";
import type { Backend } from "./layer-store-scene.ts";

export interface OpenedScene extends AsyncDisposable {
  readonly scene: LayerStoreScene;
  readonly store: LayerStore;
}

/** What read-write layers are made on. */
export const base: Buffer = layerOf([
  dir("d"),
  file("d/a", "base a"),
  file("d/b", "b".repeat(10_000)),
  file("big", "x".repeat(5000)),
]);

/** An init that makes nothing. */
export const nothing = async (): Promise<void> => undefined;

export async function opened(backend: Backend, options: Partial<LayerStoreOptions> = {}): Promise<OpenedScene> {
  const scene = await LayerStoreScene.open(backend);
  return { scene, store: await scene.store(options), [Symbol.asyncDispose]: () => scene[Symbol.asyncDispose]() };
}

export const names = (layers: readonly LayerInfo[]): string[] => layers.map(({ chainId }) => chainId);

/** Runs `work` in the mounted layer. */
export async function within(layer: RWLayer, work: (root: string) => Promise<void>): Promise<void> {
  const root = await layer.mount();
  try {
    await work(root);
  } finally {
    await layer.unmount();
  }
}

/** The changes as text, without that of the root's time. */
export async function changesIn(layer: RWLayer): Promise<string[]> {
  const all = await Array.fromAsync(layer.changes());
  return all.map(({ kind, path }) => `${kind} ${path.toString()}`).filter((change) => change !== "modified ");
}

export async function isMounted(path: string): Promise<boolean> {
  return (await readFile("/proc/self/mountinfo", "utf8")).split("\n").some((line) => line.split(" ")[4] === path);
}
