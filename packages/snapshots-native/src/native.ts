import { chmodSync, mkdirSync, rmdirSync, utimesSync } from "node:fs";
import { join } from "node:path";
import type { Mount } from "@varve/mount";
import type { CallOptions, Checker, Cleaner, Snapshotter } from "@varve/snapshots";
import { DirectorySnapshotter, Flusher, openSnapshotStore } from "@varve/snapshots-store";
import type { DirectoryBackend, NewSnapshot, SnapshotStore, StoredSnapshot } from "@varve/snapshots-store";
import { syncfsAsync } from "@varve/syscalls";
import type { Ownership } from "./copy-tree.ts";
import { TreeCopies } from "./tree-copies.ts";
import type { TreeCopyOptions } from "./tree-copies.ts";

export interface NativeSnapshotterOptions {
  /** The directory that belongs to this snapshotter; made if it is missing. */
  readonly root: string;
  /**
   * `full`: a committed snapshot survives a power cut. `none`: only the end of the process; for stores that are thrown away.
   * Default: `full`.
   */
  readonly durability?: "full" | "none" | undefined;
  /** When the files of a removed snapshot go: `now`, or `later`, at the next `cleanup` or open. Default: `now`. */
  readonly removal?: "now" | "later" | undefined;
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
export async function openNativeSnapshotter(
  options: NativeSnapshotterOptions,
): Promise<Snapshotter & Cleaner & Checker> {
  const { root, durability, removal } = options;
  const store = await openSnapshotStore({ root, durability, removal });
  try {
    return new DirectorySnapshotter(store, new NativeBackend(store, options));
  } catch (error) {
    await store.close();
    throw error;
  }
}

class NativeBackend implements DirectoryBackend {
  readonly #store: SnapshotStore;
  readonly #copies = new TreeCopies();
  readonly #flusher: Flusher | undefined;
  readonly #ownership: Ownership;

  constructor(store: SnapshotStore, options: NativeSnapshotterOptions) {
    this.#store = store;
    this.#flusher = options.durability === "none" ? undefined : new Flusher(store.root, syncfsAsync);
    this.#ownership = options.ownership ?? (process.geteuid?.() === 0 ? "keep" : "skip");
  }

  builder(snapshot: NewSnapshot, options: CallOptions): NewSnapshot["build"] {
    if (snapshot.parent === undefined) return makeEmpty;
    // A view shows the parent's own directory (U-NAT.2).
    if (snapshot.kind === "view") return undefined;
    const { parent: name } = snapshot;
    return async (directory, [parent]) => {
      const { usage } = await this.#store.get(name, options);
      await this.#copy(directory, parent, { signal: options.signal, inodes: usage?.inodes });
    };
  }

  /** Always one bind mount (U-NAT.3). */
  mounts({ id, kind, parentIds: [parent] }: StoredSnapshot): readonly Mount[] {
    const owner = kind === "view" ? (parent ?? id) : id;
    return [{ type: "bind", source: this.#files(owner), options: [kind === "view" ? "ro" : "rw", "rbind"] }];
  }

  async flush(): Promise<void> {
    await this.#flusher?.flush();
  }

  labels(): Readonly<Record<string, string>> {
    return {};
  }

  async close(): Promise<void> {
    await this.#copies.close();
    await this.#flusher?.close();
  }

  async #copy(directory: string, parent: number | undefined, options: TreeCopyOptions): Promise<void> {
    await makeEmpty(directory);
    if (parent === undefined) return;
    const scratch = join(directory, "links");
    mkdirSync(scratch);
    const destination = join(directory, "fs");
    const source = this.#files(parent);
    await this.#copies.copy({ source, destination, scratch, ownership: this.#ownership }, options);
    rmdirSync(scratch);
  }

  #files(id: number): string {
    return join(this.#store.directory(id), "fs");
  }
}

// Synchronous, as promises these few calls take several times as long.
async function makeEmpty(directory: string): Promise<void> {
  const files = join(directory, "fs");
  mkdirSync(files);
  // Whatever the umask is.
  chmodSync(files, 0o755);
  utimesSync(files, 0, 0);
}
