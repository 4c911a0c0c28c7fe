import { withIdMappings } from "@varve/mount";
import { labelGidMapping, labelUidMapping, snapshotFilter } from "@varve/snapshots";
import type {
  CallOptions,
  Checker,
  Cleaner,
  CreateOptions,
  LabelChanges,
  SnapshotInfo,
  SnapshotProblem,
  Snapshotter,
  UpdateOptions,
  Usage,
  WalkOptions,
} from "@varve/snapshots";
import { CodedError } from "@varve/errors";
import { checkSnapshots } from "./check-snapshots.ts";
import { withSubject } from "./errno.ts";
import { checkMappings } from "./labels.ts";
import { measureFiles, sealFiles } from "./measure-tree.ts";
import { mustStand, openFiles } from "./snapshot-files.ts";
import type {
  NewSnapshot,
  RecordedSnapshot,
  SealedContents,
  SnapshotIdentity,
  SnapshotStore,
  StoredSnapshot,
} from "./snapshot-store.ts";

/** A list of mounts, as a `Snapshotter` gives it. */
export type Mounts = Awaited<ReturnType<Snapshotter["mounts"]>>;

/** What one on-disk snapshotter does in its own way. */
export interface DirectoryBackend {
  /** Fills the new directory of a snapshot; must make `fs` in it. `undefined`: the snapshot needs no directory. */
  builder(snapshot: NewSnapshot, options: CallOptions): NewSnapshot["build"];
  /** The mounts of an active snapshot or a view, without its id mappings. */
  mounts(snapshot: StoredSnapshot): Mounts;
  /** Labels that are shown but not stored; `{}` if there are none. */
  labels(snapshot: SnapshotIdentity): Readonly<Record<string, string>>;
  /** Throws if a new snapshot cannot stand on these; called in the transaction that records it. Absent: on any. */
  readonly admit?: ((key: string, parentIds: readonly number[]) => void) | undefined;
  /** Settles when all that was written before is on the disk. */
  flush(): Promise<void>;
  /** Frees what it holds, after the last call. */
  readonly close?: (() => Promise<void>) | undefined;
}

/** The snapshotter over a store whose snapshots have their files in `fs` of their directories. Closes the store. */
export class DirectorySnapshotter implements Snapshotter, Cleaner, Checker {
  readonly #store: SnapshotStore;
  readonly #backend: DirectoryBackend;
  #closed = false;

  constructor(store: SnapshotStore, backend: DirectoryBackend) {
    this.#store = store;
    this.#backend = backend;
  }

  async stat(name: string, options: CallOptions = {}): Promise<SnapshotInfo> {
    return this.#shown(await this.#store.stat(name, options));
  }

  async update(name: string, labels: LabelChanges, options: UpdateOptions = {}): Promise<SnapshotInfo> {
    const { replace, signal } = options;
    const admit = (result: Readonly<Record<string, string>>): void => checkMappings(name, result);
    return this.#shown(await this.#store.update(name, labels, { replace, signal, admit }));
  }

  async usage(name: string, options: CallOptions = {}): Promise<Usage> {
    const snapshot = await this.#store.get(name, options);
    if (snapshot.kind === "view") return { bytes: 0, inodes: 0 };
    return snapshot.usage ?? this.#read(snapshot, (fd) => measureFiles(fd, options));
  }

  async mounts(key: string, options: CallOptions = {}): Promise<Mounts> {
    const snapshot = await this.#store.get(key, options);
    if (snapshot.kind === "committed") {
      throw new CodedError("ERR_FAILED_PRECONDITION", `snapshot ${key}: is committed: make a view of it to mount it`);
    }
    if (snapshot.hasDirectory) mustStand(`snapshot ${key}`, this.#store.directory(snapshot.id));
    this.#mustStandOn(key, snapshot.parentIds);
    return this.mountsOf(snapshot);
  }

  async prepare(key: string, parent: string | undefined, options: CreateOptions = {}): Promise<Mounts> {
    return this.#create({ kind: "active", key, parent }, options);
  }

  async view(key: string, parent: string | undefined, options: CreateOptions = {}): Promise<Mounts> {
    return this.#create({ kind: "view", key, parent }, options);
  }

  async commit(name: string, key: string, options: CreateOptions = {}): Promise<void> {
    const seal = async (snapshot: StoredSnapshot): Promise<SealedContents> => {
      options.signal?.throwIfAborted();
      // Looking changes nothing, so the disk need not wait for it.
      const flushed = this.#flush(snapshot);
      flushed.catch(() => undefined);
      const contents = await this.#read(snapshot, (fd) => sealFiles(fd, options));
      await flushed;
      return contents;
    };
    await this.#store.commit({ name, key, seal }, options);
  }

  async remove(name: string, options: CallOptions = {}): Promise<void> {
    await this.#store.remove(name, options);
  }

  async *walk(options: WalkOptions = {}): AsyncIterable<SnapshotInfo> {
    const passes = snapshotFilter(options.filters);
    for await (const recorded of this.#store.candidates(options)) {
      const info = this.#shown(recorded);
      if (passes(info)) yield info;
    }
  }

  async cleanup(options: CallOptions = {}): Promise<void> {
    await this.#store.cleanup(options);
  }

  check(options: CallOptions = {}): AsyncIterable<SnapshotProblem> {
    return checkSnapshots(this.#store, options);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      await this.#backend.close?.();
    } finally {
      await this.#store.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** The mounts of a snapshot as callers get them: with the id mappings that its labels ask for. */
  protected mountsOf(snapshot: StoredSnapshot): Mounts {
    const { [labelUidMapping]: uid, [labelGidMapping]: gid } = snapshot.labels;
    return withIdMappings(this.#backend.mounts(snapshot), { uid, gid });
  }

  async #create(snapshot: NewSnapshot, options: CreateOptions): Promise<Mounts> {
    checkMappings(snapshot.key, options.labels ?? {});
    const build = this.#backend.builder(snapshot, options);
    const admit = (parentIds: readonly number[]): void => {
      this.#backend.admit?.(snapshot.key, parentIds);
      this.#mustStandOn(snapshot.key, parentIds);
    };
    const created = await this.#store.create({ ...snapshot, build, admit }, options);
    try {
      return this.mountsOf(created);
    } catch (error) {
      await this.#store.remove(snapshot.key).catch(() => undefined);
      throw error;
    }
  }

  #mustStandOn(key: string, parentIds: readonly number[]): void {
    for (const id of parentIds) mustStand(`snapshot ${key}: a layer below it`, this.#store.directory(id));
  }

  #shown({ kind, name, id, hasDirectory, parent, labels, createdAt, updatedAt }: RecordedSnapshot): SnapshotInfo {
    const added = this.#backend.labels({ id, kind, name, hasDirectory });
    return { kind, name, parent, labels: { ...labels, ...added }, createdAt, updatedAt };
  }

  async #flush({ id, name }: StoredSnapshot): Promise<void> {
    try {
      await this.#backend.flush();
    } catch (error) {
      await this.#store.distrust(error);
      throw withSubject(error, `snapshot ${name}: cannot be written to the disk`, this.#store.directory(id));
    }
  }

  /** Closes the descriptor that `read` gets, at the latest when that has settled. */
  async #read<T>({ id, name }: StoredSnapshot, read: (files: number) => Promise<T>): Promise<T> {
    const directory = this.#store.directory(id);
    try {
      return await read(openFiles(`snapshot ${name}`, directory));
    } catch (error) {
      // If it was removed meanwhile, that is what to say; otherwise the directory is missing for a bad reason.
      if (error instanceof CodedError) await this.#store.get(name);
      throw withSubject(error, `snapshot ${name}`, directory);
    }
  }
}
