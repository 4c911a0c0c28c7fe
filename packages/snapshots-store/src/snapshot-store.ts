import type { CallOptions, CreateOptions, LabelChanges, SnapshotInfo, SnapshotKind, Usage } from "@varve/snapshots";
import type { StoredSnapshot } from "./record.ts";

/** A snapshot to create. */
export interface NewSnapshot {
  readonly kind: Exclude<SnapshotKind, "committed">;
  readonly key: string;
  readonly parent?: string | undefined;
  /**
   * Fills the directory of the snapshot before anybody can see it; `directory` exists, is empty and has mode 0700.
   * Absent: the snapshot has no directory.
   */
  readonly build?: ((directory: string, parentIds: readonly number[]) => Promise<void>) | undefined;
}

/** A commit. */
export interface Sealing {
  readonly key: string;
  readonly name: string;
  /** Makes the contents durable and measures them; runs before the record says that the snapshot is committed. */
  readonly seal: (snapshot: StoredSnapshot) => Promise<Usage>;
}

/**
 * The record of a snapshotter that keeps each snapshot in a directory of its own, and those directories.
 *
 * A directory is made beside its place and gets its name inside the transaction that records it; it is removed after its
 * record. So whatever a killed process leaves has no record and goes at the next open or cleanup.
 * Several processes may use one store. `stat`, `update`, `remove`, `walk`, `cleanup` and `close` keep the contracts of
 * `Snapshotter` and `Cleaner`.
 */
export interface SnapshotStore extends AsyncDisposable {
  /** Absolute, with no links in it. */
  readonly root: string;
  /** The directory of a snapshot. */
  directory(id: number): string;
  /** @throws ERR_NOT_FOUND */
  get(name: string, options?: CallOptions): Promise<StoredSnapshot>;
  stat(name: string, options?: CallOptions): Promise<SnapshotInfo>;
  update(name: string, labels: LabelChanges, options?: CallOptions): Promise<SnapshotInfo>;
  /**
   * @throws ERR_ALREADY_EXISTS the key is taken
   * @throws ERR_NOT_FOUND the parent does not exist
   * @throws ERR_FAILED_PRECONDITION the parent is not committed
   */
  create(snapshot: NewSnapshot, options?: CreateOptions): Promise<StoredSnapshot>;
  /** Keeps the contract of `Rebaser`, mounts apart. */
  rebase(key: string, parent: string, options?: CallOptions): Promise<StoredSnapshot>;
  /**
   * @throws ERR_ALREADY_EXISTS the name is taken; this is checked first
   * @throws ERR_NOT_FOUND the key does not exist
   * @throws ERR_FAILED_PRECONDITION the key is not active
   */
  commit(sealing: Sealing, options?: CreateOptions): Promise<StoredSnapshot>;
  remove(name: string, options?: CallOptions): Promise<void>;
  walk(options?: CallOptions): AsyncIterable<SnapshotInfo>;
  cleanup(options?: CallOptions): Promise<void>;
  close(): Promise<void>;
}
