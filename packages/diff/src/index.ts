export { canStage } from "./applier.ts";
export type { Applier, ApplyOptions, StagedLayer, StagingApplier } from "./applier.ts";
