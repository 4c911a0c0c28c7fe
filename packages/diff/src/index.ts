export { canStage } from "./applier.ts";
export type { Applier, ApplyOptions, StagedLayer, StagingApplier } from "./applier.ts";
export type { ArchiveComparer, TreeChange } from "./archive-comparer.ts";
export type { ComparedLayer, CompareOptions, Comparer } from "./comparer.ts";
export type { AppliedArchive, ApplyArchiveOptions, ArchiveApplier } from "./archive-applier.ts";
