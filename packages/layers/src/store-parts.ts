import type { ArchiveApplier, ArchiveComparer } from "@varve/diff";
import type { KeyedLock, RunningCalls } from "@varve/locks";
import type { Mounter } from "@varve/mount";
import type { Snapshotter } from "@varve/snapshots";
import type { Database } from "@varve/sqlite";
import type { RecordFiles } from "./tar/record-files.ts";
import type { MountedOn, SnapshotHolder } from "./snapshot-holder.ts";

/** What the calls of one open store share. */
export interface StoreParts {
  readonly database: Database;
  readonly files: RecordFiles;
  readonly snapshotter: Snapshotter;
  readonly applier: ArchiveApplier;
  readonly comparer: ArchiveComparer | undefined;
  readonly mounter: Mounter;
  readonly mountDirectory: string | undefined;
  readonly holder: SnapshotHolder | undefined;
  readonly mountedOn: MountedOn | undefined;
  readonly locks: KeyedLock;
  readonly maxDepth: number;
  /** Those that a close ends. */
  readonly calls: RunningCalls;
  /** Where read-write layers are mounted. */
  readonly mountRoot: string;
}

/** The lock of all that makes or removes the snapshot of a chain. */
export function lockOf(chainId: string): string {
  return `layer/${chainId}`;
}
