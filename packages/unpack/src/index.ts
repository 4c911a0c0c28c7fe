export { applyLayer, applyLayers } from "./apply-layers.ts";
export type { ApplyLayersOptions } from "./apply-layers.ts";
export type { FetchLayer, FetchLayerOptions } from "./download.ts";
export type { Layer } from "./layer.ts";
export type { Logger } from "./logger.ts";
export type { UnpackedLayer, UnpackerOptions, UnpackPlatform, UnpackResult } from "./options.ts";
export { removeStaleExtractions } from "./stale-extractions.ts";
export { createUnpacker } from "./unpacker.ts";
export type { Unpacker } from "./unpacker.ts";
