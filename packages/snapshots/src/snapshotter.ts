import type { Mount } from "@varve/mount";
import type { CallOptions, CreateOptions, LabelChanges, UpdateOptions, WalkOptions } from "./call-options.ts";

/** `active` can be committed, `view` cannot, and only `committed` can be a parent. */
export type SnapshotKind = "active" | "committed" | "view";

/** What a snapshotter knows of one snapshot. */
export interface SnapshotInfo {
  readonly kind: SnapshotKind;
  /** The key of an active snapshot or view, the name of a committed one. */
  readonly name: string;
  readonly parent?: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAt: Date;
  /** Not before `createdAt`; strictly later after each change of labels and after the commit, whatever the clock says. */
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
 * **Kinds.** A snapshot starts as `active` (`prepare`), is filled through its mounts, and becomes `committed` under a name that
 * others can stand on. A `view` is read-only and is thrown away. The keys of active snapshots and views and the names of
 * committed snapshots share one key space, and may be any text but the empty one. A parent is always committed and never
 * changes again: neither its files, nor its own parent, nor its name.
 *
 * **Mounts.** A snapshot is seen through its mounts and in no other way. They are a list for a `Mounter`, in order, and stay
 * valid as long as the snapshot is there: they may be mounted several times, one after another, also by another process
 * and after a reboot. Those of a view are all read-only. Calls mount nothing, unless the snapshotter says so.
 *
 * **Concurrency.** Calls may run at the same time, also from several processes; of two calls that want the same key or name
 * one succeeds. A snapshot that is removed while it is mounted stays readable where it is mounted, also when its parents are
 * removed and through every cleanup, until it is unmounted; or the `remove` that would end that says ERR_UNAVAILABLE.
 *
 * **Abort and kill.** A call that rejects, for whatever reason, has changed nothing that can be seen. A process that is killed
 * in the middle of a call leaves the state before or after that call, and litter that belongs to nothing, which the next
 * open or `cleanup` removes.
 *
 * **Durability.** What `commit` and `remove` have acknowledged survives a power cut, contents included, unless the
 * snapshotter was opened with an option that says otherwise. Of active snapshots and views nothing has to survive.
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
   * @throws ERR_INVALID_ARGUMENT a label is too long, or has no name, or labels ask for an id mapping that there cannot be
   */
  update(name: string, labels: LabelChanges, options?: UpdateOptions): Promise<SnapshotInfo>;
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
   * The root directory of an empty one has mode 0755, whatever the umask is, and was changed in 1970 (time 0), so that the same
   * layers always give the same tree; that of another has what its parent's has.
   *
   * @throws ERR_ALREADY_EXISTS `key` is taken, whatever its kind; what is there stays as it is
   * @throws ERR_NOT_FOUND `parent` does not exist, as the empty text never does
   * @throws ERR_FAILED_PRECONDITION `parent` is not committed
   * @throws ERR_INVALID_ARGUMENT `key` is empty, a label cannot be kept, or labels ask for an id mapping that there cannot be
   */
  prepare(key: string, parent: string | undefined, options?: CreateOptions): Promise<readonly Mount[]>;
  /** As `prepare`, but what it gives is mounted read-only and cannot be committed. */
  view(key: string, parent: string | undefined, options?: CreateOptions): Promise<readonly Mount[]>;
  /**
   * Turns the active snapshot `key` into the committed `name`; `key` is free again. Its contents are on disk before the
   * name is visible. The caller has unmounted it. After an error the active snapshot is as usable as before.
   *
   * @throws ERR_ALREADY_EXISTS `name` is taken; this is looked at first
   * @throws ERR_NOT_FOUND `key` does not exist
   * @throws ERR_FAILED_PRECONDITION `key` is not active
   * @throws ERR_INVALID_ARGUMENT `name` is empty, or a label cannot be kept
   * @throws ERR_DATA_LOSS its files are not there, a link or a file stands in their place, or the disk has lost some of what
   * was written to them
   */
  commit(name: string, key: string, options?: CreateOptions): Promise<void>;
  /**
   * Removes a snapshot; its name is free at once, its files may go later. They are removed without following a link, and
   * whatever somebody else has done to them.
   *
   * @throws ERR_NOT_FOUND no such snapshot
   * @throws ERR_FAILED_PRECONDITION other snapshots stand on it
   */
  remove(name: string, options?: CallOptions): Promise<void>;
  /** All snapshots, in no particular order. Any call may be made between two elements. */
  walk(options?: WalkOptions): AsyncIterable<SnapshotInfo>;
  /** Frees what the snapshotter holds in this process; closing twice is allowed. */
  close(): Promise<void>;
}
