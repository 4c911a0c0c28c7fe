import type { Mount } from "@varve/mount";
import type { CallOptions, Snapshotter } from "./snapshotter.ts";

/** Optional capability: find and remove what belongs to no snapshot. */
export interface Cleaner {
  /** Removes directories that no snapshot owns, as a killed process or an asynchronous removal leaves them. Safe at any time. */
  cleanup(options?: CallOptions): Promise<void>;
}

/**
 * Optional capability: learn the parent late, so that the layers of an image can be unpacked at the same time.
 *
 * Without a parent, `prepare` of such a snapshotter gives one `bind` mount of a directory. That directory can be filled in
 * the form of an overlay's upper directory before the parent exists.
 */
export interface Rebaser {
  /**
   * Gives the active snapshot `key`, prepared without a parent, the parent it will be committed on, and tells how to mount it
   * there. The same parent again is allowed.
   *
   * @throws ERR_NOT_FOUND `key` or `parent` does not exist
   * @throws ERR_FAILED_PRECONDITION `key` is not active, or `parent` is not committed
   * @throws ERR_INVALID_ARGUMENT `key` has another parent
   */
  rebase(key: string, parent: string, options?: CallOptions): Promise<readonly Mount[]>;
}

/** Whether `snapshotter` implements `Cleaner`. */
export function canCleanup(snapshotter: Snapshotter): snapshotter is Snapshotter & Cleaner {
  return "cleanup" in snapshotter && typeof snapshotter.cleanup === "function";
}

/** Whether `snapshotter` implements `Rebaser`. */
export function canRebase(snapshotter: Snapshotter): snapshotter is Snapshotter & Rebaser {
  return "rebase" in snapshotter && typeof snapshotter.rebase === "function";
}
