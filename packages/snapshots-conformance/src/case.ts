import type { Mount } from "@varve/mount";
import type { Snapshotter } from "@varve/snapshots";

/**
 * What not every snapshotter, or not every test run, can do. `mount`: the run has a `Mounter` and may use it; `usage`: what
 * is written shows in `usage`; `rebase`: it implements `Rebaser`; `cleanup`: it implements `Cleaner`; `reopen`: a place can
 * be opened again, also while it is open, and shows the same snapshots.
 */
export type SnapshotterNeed = "mount" | "usage" | "rebase" | "cleanup" | "reopen";

export interface CaseContext {
  /**
   * Opens the snapshotter of this case: empty the first time, the same place each further time. What was opened is closed
   * when the case ends.
   */
  readonly open: () => Promise<Snapshotter>;
  /** Mounts a list on a new directory, runs `body` with its path, and takes it off again. Only in cases that need `mount`. */
  readonly mounted: <T>(mounts: readonly Mount[], body: (root: string) => Promise<T>) => Promise<T>;
}

/** One promise of the contract. The name never changes: test reports and `lacks` lists of others rely on it. */
export interface SnapshotterCase {
  readonly name: string;
  readonly needs: readonly SnapshotterNeed[];
  /** Rejects with an AssertionError if the snapshotter breaks the promise. */
  run(context: CaseContext): Promise<void>;
}
