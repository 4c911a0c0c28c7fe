export { applyLayers } from "./apply-layers.ts";
export type { AppliedLayer, ApplyLayersOptions } from "./apply-layers.ts";
export type { Client, MountOptions, PulledLayer, PullOptions, PullResult, UnmountOptions } from "./client.ts";
export { defaultRoot } from "./default-root.ts";
export { openClient } from "./open-client.ts";
export type { OpenClientOptions } from "./open-client.ts";
export type { OpenSnapshotter } from "./snapshotter-set.ts";
