import { join } from "node:path";
import { CodedError } from "@varve/errors";
import type {
  CallOptions,
  Cleaner,
  CreateOptions,
  LabelChanges,
  SnapshotInfo,
  Snapshotter,
  Usage,
} from "@varve/snapshots";
import { isErrno, withSubject } from "./errno.ts";
import { measureTree } from "./measure-tree.ts";
import type { StoredSnapshot } from "./record.ts";
import type { NewSnapshot, SnapshotStore } from "./snapshot-store.ts";

/** A list of mounts, as a `Snapshotter` gives it. */
export type Mounts = Awaited<ReturnType<Snapshotter["mounts"]>>;

/** What one on-disk snapshotter does in its own way. */
export interface DirectoryBackend {
  /** Fills the new directory of a snapshot; must make `fs` in it. `undefined`: the snapshot needs no directory. */
  builder(snapshot: NewSnapshot, options: CallOptions): NewSnapshot["build"];
  /** The mounts of an active snapshot or a view. */
  mounts(snapshot: StoredSnapshot): Mounts;
  /** Settles when all that was written before is on the disk. */
  flush(): Promise<void>;
}

/** The snapshotter over a store whose snapshots have their files in `fs` of their directories. Closes the store. */
export class DirectorySnapshotter implements Snapshotter, Cleaner {
  readonly #store: SnapshotStore;
  readonly #backend: DirectoryBackend;

  constructor(store: SnapshotStore, backend: DirectoryBackend) {
    this.#store = store;
    this.#backend = backend;
  }

  async stat(name: string, options: CallOptions = {}): Promise<SnapshotInfo> {
    return this.#store.stat(name, options);
  }

  async update(name: string, labels: LabelChanges, options: CallOptions = {}): Promise<SnapshotInfo> {
    return this.#store.update(name, labels, options);
  }

  async usage(name: string, options: CallOptions = {}): Promise<Usage> {
    const snapshot = await this.#store.get(name, options);
    if (snapshot.kind === "view") return { bytes: 0, inodes: 0 };
    return snapshot.usage ?? this.#measure(snapshot, options);
  }

  async mounts(key: string, options: CallOptions = {}): Promise<Mounts> {
    const snapshot = await this.#store.get(key, options);
    if (snapshot.kind === "committed") {
      throw new CodedError("ERR_FAILED_PRECONDITION", `snapshot ${key}: is committed: make a view of it to mount it`);
    }
    return this.#backend.mounts(snapshot);
  }

  async prepare(key: string, parent: string | undefined, options: CreateOptions = {}): Promise<Mounts> {
    return this.#create({ kind: "active", key, parent }, options);
  }

  async view(key: string, parent: string | undefined, options: CreateOptions = {}): Promise<Mounts> {
    return this.#create({ kind: "view", key, parent }, options);
  }

  async commit(name: string, key: string, options: CreateOptions = {}): Promise<void> {
    const seal = async (snapshot: StoredSnapshot): Promise<Usage> => {
      options.signal?.throwIfAborted();
      await this.#flush(snapshot);
      return this.#measure(snapshot, options);
    };
    await this.#store.commit({ name, key, seal }, options);
  }

  async remove(name: string, options: CallOptions = {}): Promise<void> {
    await this.#store.remove(name, options);
  }

  walk(options: CallOptions = {}): AsyncIterable<SnapshotInfo> {
    return this.#store.walk(options);
  }

  async cleanup(options: CallOptions = {}): Promise<void> {
    await this.#store.cleanup(options);
  }

  async close(): Promise<void> {
    await this.#store.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #create(snapshot: NewSnapshot, options: CreateOptions): Promise<Mounts> {
    const build = this.#backend.builder(snapshot, options);
    return this.#backend.mounts(await this.#store.create({ ...snapshot, build }, options));
  }

  async #flush({ id, name }: StoredSnapshot): Promise<void> {
    try {
      await this.#backend.flush();
    } catch (error) {
      throw withSubject(error, `snapshot ${name}: cannot be written to the disk`, this.#store.directory(id));
    }
  }

  async #measure(snapshot: StoredSnapshot, options: CallOptions): Promise<Usage> {
    try {
      return await measureTree(join(this.#store.directory(snapshot.id), "fs"), options);
    } catch (error) {
      // If it was removed meanwhile, that is what to say; otherwise the directory is missing for a bad reason.
      if (isErrno(error, "ENOENT")) await this.#store.get(snapshot.name, options);
      throw withSubject(error, `snapshot ${snapshot.name}`, this.#store.directory(snapshot.id));
    }
  }
}
