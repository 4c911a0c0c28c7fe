export { createDiffer } from "./differ.ts";
export type { AppliedStream, ApplyStreamOptions, Differ } from "./differ.ts";
export type { DifferLimits, DifferOptions } from "./options.ts";
export type { LayerApplyOptions } from "./layer-applier.ts";
