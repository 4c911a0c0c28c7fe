import type { Mount } from "@varve/mount";

/** `active` can be committed, `view` cannot, and only `committed` can be a parent. */
export type SnapshotKind = "active" | "committed" | "view";

/** Taken by every call that may wait. */
export interface CallOptions {
  /** Rejects with the signal's own reason, and leaves the snapshot as it was before the call. */
  readonly signal?: AbortSignal | undefined;
}

/** Labels of a new snapshot. They go with the snapshot they were given to: a commit starts with its own. */
export interface CreateOptions extends CallOptions {
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** One label by name; `undefined` removes it. Labels not named stay as they are. */
export type LabelChanges = Readonly<Record<string, string | undefined>>;

/** What a snapshotter knows of one snapshot. */
export interface SnapshotInfo {
  readonly kind: SnapshotKind;
  /** The key of an active snapshot or view, the name of a committed one. */
  readonly name: string;
  readonly parent?: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** What a snapshot takes up by itself, without its parents. */
export interface Usage {
  /** Allocated on disk. */
  readonly bytes: number;
  /** Files and directories, each hard-link group counted once. */
  readonly inodes: number;
}

/**
 * Allocates and stacks directory trees.
 *
 * A snapshot starts as `active` (`prepare`), is filled through its mounts, and becomes `committed` under a name that others
 * can stand on. A `view` is read-only and is thrown away. The keys of active snapshots and views and the names of committed
 * snapshots share one key space. A parent is always committed, and never changes again.
 *
 * Calls may run at the same time, also from several processes; of two calls that want the same key or name one succeeds.
 * A process that is killed in the middle of a call leaves the state before or after that call, and directories that
 * belong to nothing, which the next `open` or `cleanup` removes.
 */
export interface Snapshotter extends AsyncDisposable {
  /**
   * The snapshot under a key or name.
   *
   * @throws ERR_NOT_FOUND no such snapshot
   */
  stat(name: string, options?: CallOptions): Promise<SnapshotInfo>;
  /**
   * Changes labels in one step and says what came of it. Nothing else of a snapshot can be changed.
   * Key and value together hold at most 4096 bytes.
   *
   * @throws ERR_NOT_FOUND no such snapshot
   * @throws ERR_INVALID_ARGUMENT a label is too long
   */
  update(name: string, labels: LabelChanges, options?: CallOptions): Promise<SnapshotInfo>;
  /**
   * Measured now for an active snapshot, at the commit for a committed one; zero for a view.
   *
   * @throws ERR_NOT_FOUND no such snapshot
   */
  usage(name: string, options?: CallOptions): Promise<Usage>;
  /**
   * The mounts of an active snapshot or a view, the same that `prepare` or `view` gave.
   *
   * @throws ERR_NOT_FOUND no such snapshot
   * @throws ERR_FAILED_PRECONDITION the snapshot is committed: make a view of it
   */
  mounts(key: string, options?: CallOptions): Promise<readonly Mount[]>;
  /**
   * Starts a writable snapshot on top of `parent`, or an empty one, and tells how to mount it.
   * The root directory of an empty one has mode 0755.
   *
   * @throws ERR_ALREADY_EXISTS `key` is taken, whatever its kind
   * @throws ERR_NOT_FOUND `parent` does not exist
   * @throws ERR_FAILED_PRECONDITION `parent` is not committed
   */
  prepare(key: string, parent: string | undefined, options?: CreateOptions): Promise<readonly Mount[]>;
  /** As `prepare`, but what it gives is mounted read-only and cannot be committed. */
  view(key: string, parent: string | undefined, options?: CreateOptions): Promise<readonly Mount[]>;
  /**
   * Turns the active snapshot `key` into the committed `name`; `key` is free again. Its contents are on disk before the
   * name is visible. The caller has unmounted it. After an error the active snapshot is as usable as before.
   *
   * @throws ERR_ALREADY_EXISTS `name` is taken
   * @throws ERR_NOT_FOUND `key` does not exist
   * @throws ERR_FAILED_PRECONDITION `key` is not active
   */
  commit(name: string, key: string, options?: CreateOptions): Promise<void>;
  /**
   * Removes a snapshot; its name is free at once, its directory may go later.
   *
   * @throws ERR_NOT_FOUND no such snapshot
   * @throws ERR_FAILED_PRECONDITION other snapshots stand on it
   */
  remove(name: string, options?: CallOptions): Promise<void>;
  /** All snapshots, in no particular order. Any call may be made between two elements. */
  walk(options?: CallOptions): AsyncIterable<SnapshotInfo>;
  /** Frees what the snapshotter holds in this process; closing twice is allowed. */
  close(): Promise<void>;
}
