export type {
  CaseContext,
  ExtendedAttributes,
  KnownLayer,
  KnownLayers,
  SnapshotterCase,
  SnapshotterNeed,
} from "./case.ts";
export { snapshotterCases } from "./cases.ts";
export { describeSnapshotter } from "./describe.ts";
export type { DescribeSnapshotterOptions, TestFunction } from "./describe.ts";
export { coveredRows } from "./rows.ts";
export { runSnapshotterCase } from "./run.ts";
export type { OpenSnapshotter, RunOptions } from "./run.ts";
