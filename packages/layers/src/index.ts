export { reproduceBlob } from "./blob/reproduce.ts";
export type { ReproducedBlob, ReproduceOptions } from "./blob/reproduce.ts";
export type { BlobRecipe } from "./blob/recipes.ts";
export type { CallOptions, Layer, LayerArchive, LayerInfo, LayerStore, RegisterOptions } from "./layer-store.ts";
export { importMobyLayers } from "./moby/import.ts";
export type { ImportMobyOptions, MobyImport } from "./moby/import.ts";
export type { BrokenMobyContainer } from "./moby/containers.ts";
export type { BrokenMobyLayer } from "./moby/layerdb.ts";
export type { MobyDriver, MobySource } from "./moby/source.ts";
export { openLayerStore } from "./open-layer-store.ts";
export type { LayerStoreOptions } from "./open-layer-store.ts";
export type {
  AppliedToRW,
  ApplyToRWOptions,
  CommitRWLayerOptions,
  CreateRWLayerOptions,
  ListedRWLayer,
  RWLayer,
  RWLayerInfo,
} from "./read-write/rw-layer.ts";
export type { MountedOn, SnapshotHolder } from "./snapshot-holder.ts";
