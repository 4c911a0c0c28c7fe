export { canCleanup, canRebase } from "./capabilities.ts";
export type { Cleaner, Rebaser } from "./capabilities.ts";
export { labelDiffId, labelOwner, labelParentChainId, labelTarget } from "./labels.ts";
export type {
  CallOptions,
  CreateOptions,
  LabelChanges,
  SnapshotInfo,
  SnapshotKind,
  Snapshotter,
  Usage,
} from "./snapshotter.ts";
