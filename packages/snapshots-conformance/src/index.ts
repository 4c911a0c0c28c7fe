export type { CaseContext, SnapshotterCase, SnapshotterNeed } from "./case.ts";
export { snapshotterCases } from "./cases.ts";
export { describeSnapshotter } from "./describe.ts";
export type { DescribeSnapshotterOptions, TestFunction } from "./describe.ts";
export { runSnapshotterCase } from "./run.ts";
export type { OpenSnapshotter, RunOptions } from "./run.ts";
