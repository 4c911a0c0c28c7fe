import type {
  CallOptions,
  RebaseOptions,
  CreateOptions,
  LabelChanges,
  SnapshotInfo,
  SnapshotKind,
  UpdateOptions,
  Usage,
  WalkOptions,
} from "@varve/snapshots";

/** What the record says of a snapshot itself. */
export interface SnapshotIdentity {
  /** Names its directory. Never changes, not even by a commit, and is never given twice. */
  readonly id: number;
  readonly kind: SnapshotKind;
  readonly name: string;
  /** Whether it was made with a directory. */
  readonly hasDirectory: boolean;
}

/** A snapshot with what a backend needs to find its directories. */
export interface StoredSnapshot extends SnapshotIdentity {
  /** Nearest first. */
  readonly parentIds: readonly number[];
  readonly labels: Readonly<Record<string, string>>;
  /** Of a committed snapshot, as its commit measured it. */
  readonly usage?: Usage | undefined;
}

/** A snapshot as `Snapshotter` tells of it, and what is known about its directory. */
export interface RecordedSnapshot extends SnapshotInfo, SnapshotIdentity {
  /** Of what its commit found, if that took one. */
  readonly fingerprint?: Uint8Array | undefined;
}

/** A snapshot to create. */
export interface NewSnapshot {
  readonly kind: Exclude<SnapshotKind, "committed">;
  readonly key: string;
  readonly parent?: string | undefined;
  /**
   * Fills the directory of the snapshot before anybody can see it: makes `fs`, where its files are, and whatever else the
   * backend needs. `directory` exists, is empty and has mode 0700.
   * Absent: the snapshot has no directory.
   */
  readonly build?: ((directory: string, parentIds: readonly number[]) => Promise<void>) | undefined;
  /** Throws if it cannot stand on these; called in the transaction that records it. */
  readonly admit?: ((parentIds: readonly number[]) => void) | undefined;
}

/** What a commit records of the contents. */
export interface SealedContents extends Usage {
  readonly fingerprint?: Uint8Array | undefined;
}

/** A commit. */
export interface Sealing {
  readonly key: string;
  readonly name: string;
  /** Makes the contents durable and measures them; runs before the record says that the snapshot is committed. */
  readonly seal: (snapshot: StoredSnapshot) => Promise<SealedContents>;
}

/** An update of labels. */
export interface LabelUpdate extends UpdateOptions {
  /** Throws if the labels that would come of it cannot be; called in the transaction. */
  readonly admit?: ((labels: Readonly<Record<string, string>>) => void) | undefined;
}

/**
 * The record of a snapshotter that keeps each snapshot in a directory of its own, and those directories.
 *
 * A directory is made beside its place and gets its name inside the transaction that records it; it is removed after its
 * record. So whatever a killed process leaves has no record and goes at the next open or cleanup, as do active snapshots
 * and views whose files are gone.
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
  stat(name: string, options?: CallOptions): Promise<RecordedSnapshot>;
  update(name: string, labels: LabelChanges, options?: LabelUpdate): Promise<RecordedSnapshot>;
  /**
   * @throws ERR_ALREADY_EXISTS the key is taken
   * @throws ERR_NOT_FOUND the parent does not exist
   * @throws ERR_FAILED_PRECONDITION the parent is not committed
   */
  create(snapshot: NewSnapshot, options?: CreateOptions): Promise<StoredSnapshot>;
  /** Keeps the contract of `Rebaser`, mounts apart. */
  rebase(key: string, parent: string, options?: RebaseOptions): Promise<StoredSnapshot>;
  /**
   * @throws ERR_ALREADY_EXISTS the name is taken; this is checked first
   * @throws ERR_NOT_FOUND the key does not exist
   * @throws ERR_FAILED_PRECONDITION the key is not active
   * @throws ERR_DATA_LOSS its directory is gone, or `distrust` was told about it
   */
  commit(sealing: Sealing, options?: CreateOptions): Promise<StoredSnapshot>;
  /**
   * The disk has lost something, and nobody knows what: no snapshot that is active now will ever be committed by this
   * process. (The kernel tells of a lost write once; the next flush succeeds.)
   */
  distrust(cause: unknown): Promise<void>;
  remove(name: string, options?: CallOptions): Promise<void>;
  walk(options?: WalkOptions): AsyncIterable<RecordedSnapshot>;
  /** Of all snapshots those that `filters` can let through, and maybe others: for filters on what is not recorded here. */
  candidates(options?: WalkOptions): AsyncIterable<RecordedSnapshot>;
  cleanup(options?: CallOptions): Promise<void>;
  close(): Promise<void>;
}
