import { chmod, mkdir, rmdir } from "node:fs/promises";
import { join } from "node:path";
import type { Mount } from "@varve/mount";
import type { CallOptions, Cleaner, Snapshotter } from "@varve/snapshots";
import { DirectorySnapshotter, Flusher, openSnapshotStore } from "@varve/snapshots-store";
import type { DirectoryBackend, NewSnapshot, SnapshotStore, StoredSnapshot } from "@varve/snapshots-store";
import { syncfsAsync } from "@varve/syscalls";
import { CopyThread } from "./copy-thread.ts";
import type { Ownership } from "./copy-tree.ts";

export interface NativeSnapshotterOptions {
  /** The directory that belongs to this snapshotter; made if it is missing. */
  readonly root: string;
  /**
   * `full`: a committed snapshot survives a power cut. `none`: only the end of the process; for stores that are thrown away.
   * Default: `full`.
   */
  readonly durability?: "full" | "none" | undefined;
  /**
   * `keep`: copies owners, devices and all extended attributes, for which it takes root. `skip`: everything copied belongs
   * to this process, devices are left out, and so are the attributes it may not set. Default: `keep` for root, else `skip`.
   */
  readonly ownership?: Ownership | undefined;
}

/**
 * Opens a snapshotter that copies the files of the parent, by reflink where the filesystem can: no kernel support and no
 * privilege is needed. Removes what killed processes left in `root`.
 *
 * @throws ERR_NOT_IMPLEMENTED a newer program has written the store
 * @throws ERR_DATA_LOSS the record of the store is damaged, or lost while its snapshots are there
 */
export async function openNativeSnapshotter(options: NativeSnapshotterOptions): Promise<Snapshotter & Cleaner> {
  const store = await openSnapshotStore({ root: options.root });
  const thread = new CopyThread();
  return new NativeSnapshotter(store, new NativeBackend(store, thread, options), thread);
}

class NativeSnapshotter extends DirectorySnapshotter {
  readonly #thread: CopyThread;

  constructor(store: SnapshotStore, backend: NativeBackend, thread: CopyThread) {
    super(store, backend);
    this.#thread = thread;
  }

  override async close(): Promise<void> {
    await this.#thread.close();
    await super.close();
  }
}

class NativeBackend implements DirectoryBackend {
  readonly #store: SnapshotStore;
  readonly #thread: CopyThread;
  readonly #flusher: Flusher | undefined;
  readonly #ownership: Ownership;

  constructor(store: SnapshotStore, thread: CopyThread, options: NativeSnapshotterOptions) {
    this.#store = store;
    this.#thread = thread;
    this.#flusher = options.durability === "none" ? undefined : new Flusher(store.root, syncfsAsync);
    this.#ownership = options.ownership ?? (process.geteuid?.() === 0 ? "keep" : "skip");
  }

  builder(snapshot: NewSnapshot, options: CallOptions): NewSnapshot["build"] {
    if (snapshot.parent === undefined) return makeEmpty;
    // A view shows the parent's own directory (U-NAT.2).
    if (snapshot.kind === "view") return undefined;
    return (directory, [parent]) => this.#copy(directory, parent, options.signal);
  }

  /** Always one bind mount (U-NAT.3). */
  mounts({ id, kind, parentIds: [parent] }: StoredSnapshot): readonly Mount[] {
    const owner = kind === "view" ? (parent ?? id) : id;
    return [{ type: "bind", source: this.#files(owner), options: [kind === "view" ? "ro" : "rw", "rbind"] }];
  }

  async flush(): Promise<void> {
    await this.#flusher?.flush();
  }

  async #copy(directory: string, parent: number | undefined, signal: AbortSignal | undefined): Promise<void> {
    await makeEmpty(directory);
    if (parent === undefined) return;
    const scratch = join(directory, "links");
    await mkdir(scratch);
    const destination = join(directory, "fs");
    const source = this.#files(parent);
    await this.#thread.copy({ source, destination, scratch, ownership: this.#ownership }, signal);
    await rmdir(scratch);
  }

  #files(id: number): string {
    return join(this.#store.directory(id), "fs");
  }
}

async function makeEmpty(directory: string): Promise<void> {
  const files = join(directory, "fs");
  await mkdir(files);
  // Whatever the umask is.
  await chmod(files, 0o755);
}
