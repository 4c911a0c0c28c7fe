export type { CallOptions, CreateOptions, LabelChanges, UpdateOptions, WalkOptions } from "./call-options.ts";
export { canCheck, canCleanup, canRebase } from "./capabilities.ts";
export type { Checker, Cleaner, RebaseOptions, Rebaser, SnapshotProblem } from "./capabilities.ts";
export { snapshotFilter } from "./filters.ts";
export {
  labelDiffId,
  labelGidMapping,
  labelOwner,
  labelParentChainId,
  labelTarget,
  labelUidMapping,
  labelUpperDirectory,
} from "./labels.ts";
export { canPrepareLayers } from "./layer-preparer.ts";
export type { LayerPreparer, LayerRequest, PreparedLayer } from "./layer-preparer.ts";
export type { SnapshotInfo, SnapshotKind, Snapshotter, Usage } from "./snapshotter.ts";
