import type { Mount } from "@varve/mount";
import type { CallOptions } from "./call-options.ts";
import type { Snapshotter } from "./snapshotter.ts";

/** Optional capability: find and remove what belongs to no snapshot. */
export interface Cleaner {
  /**
   * Removes what no snapshot owns, as a killed process or a removal put off leaves it, and active snapshots and views whose
   * files are gone. Safe at any time, also while others work; what they are making stays.
   *
   * @throws ERR_UNAVAILABLE something that was removed is still mounted; everything else has gone
   */
  cleanup(options?: CallOptions): Promise<void>;
}

export interface RebaseOptions extends CallOptions {
  /**
   * After a power cut nobody wants the snapshot any more, unless it has been committed: the parent is on disk with the commit, and
   * need not be before. Default: false.
   */
  readonly volatile?: boolean | undefined;
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
  rebase(key: string, parent: string, options?: RebaseOptions): Promise<readonly Mount[]>;
}

/** Something about a snapshot that is not as the snapshotter left it. */
export interface SnapshotProblem {
  readonly name: string;
  /**
   * `missing`: its files are gone; `replaced`: something else stands in their place, such as a link; `changed`: they are not
   * those that were committed.
   */
  readonly kind: "missing" | "replaced" | "changed";
  /** One sentence, with the path. */
  readonly message: string;
}

/** Optional capability: hold what is recorded against what is there. */
export interface Checker {
  /**
   * Looks at the files of every snapshot, and tells what somebody else did to them. Changes nothing, and follows no link.
   * How much is seen is up to the snapshotter; `missing` and `replaced` always are. What is made or removed meanwhile is
   * no problem.
   */
  check(options?: CallOptions): AsyncIterable<SnapshotProblem>;
}

/** Whether `snapshotter` implements `Cleaner`. */
export function canCleanup(snapshotter: Snapshotter): snapshotter is Snapshotter & Cleaner {
  return "cleanup" in snapshotter && typeof snapshotter.cleanup === "function";
}

/** Whether `snapshotter` implements `Rebaser`. */
export function canRebase(snapshotter: Snapshotter): snapshotter is Snapshotter & Rebaser {
  return "rebase" in snapshotter && typeof snapshotter.rebase === "function";
}

/** Whether `snapshotter` implements `Checker`. */
export function canCheck(snapshotter: Snapshotter): snapshotter is Snapshotter & Checker {
  return "check" in snapshotter && typeof snapshotter.check === "function";
}
