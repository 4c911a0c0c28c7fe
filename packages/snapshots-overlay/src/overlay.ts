import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Mount } from "@varve/mount";
import type { CallOptions, Cleaner, Rebaser, Snapshotter } from "@varve/snapshots";
import { DirectorySnapshotter, Flusher, openSnapshotStore } from "@varve/snapshots-store";
import type { DirectoryBackend, NewSnapshot, SnapshotStore, StoredSnapshot } from "@varve/snapshots-store";
import { syncfsAsync } from "@varve/syscalls";
import { commonOptions } from "./common-options.ts";
import { snapshotMounts } from "./mounts.ts";
import { copyRootAttributes } from "./root-attributes.ts";

export interface OverlaySnapshotterOptions {
  /** The directory that belongs to this snapshotter; made if it is missing. Not on an overlay itself. */
  readonly root: string;
  /**
   * `full`: a committed snapshot survives a power cut. `none`: only the end of the process; for stores that are thrown away.
   * Default: `full`.
   */
  readonly durability?: "full" | "none" | undefined;
  /** Added to every overlay mount, in place of those found out (`index=off`, `userxattr`). */
  readonly mountOptions?: readonly string[] | undefined;
}

/**
 * Opens a snapshotter that stacks directories with overlayfs, and removes what killed processes left in `root`.
 * Opening does not try whether overlays can be mounted: see `checkOverlaySupport`.
 *
 * @throws ERR_NOT_IMPLEMENTED a newer program has written the store
 * @throws ERR_DATA_LOSS the record of the store is damaged, or lost while its snapshots are there
 */
export async function openOverlaySnapshotter(
  options: OverlaySnapshotterOptions,
): Promise<Snapshotter & Cleaner & Rebaser> {
  const store = await openSnapshotStore({ root: options.root });
  return new OverlaySnapshotter(store, new OverlayBackend(store, options));
}

class OverlaySnapshotter extends DirectorySnapshotter implements Rebaser {
  readonly #store: SnapshotStore;
  readonly #backend: OverlayBackend;

  constructor(store: SnapshotStore, backend: OverlayBackend) {
    super(store, backend);
    this.#store = store;
    this.#backend = backend;
  }

  async rebase(key: string, parent: string, options: CallOptions = {}): Promise<readonly Mount[]> {
    // The root stays as it is: whoever filled the directory knows whether the layer itself says what the root is like.
    return this.#backend.mounts(await this.#store.rebase(key, parent, options));
  }
}

class OverlayBackend implements DirectoryBackend {
  readonly #store: SnapshotStore;
  readonly #flusher: Flusher | undefined;
  readonly #common: readonly string[];

  constructor(store: SnapshotStore, options: OverlaySnapshotterOptions) {
    this.#store = store;
    this.#flusher = options.durability === "none" ? undefined : new Flusher(store.root, syncfsAsync);
    this.#common = options.mountOptions ?? commonOptions();
  }

  builder(snapshot: NewSnapshot): NewSnapshot["build"] {
    if (snapshot.kind === "active") return (directory, [parent]) => this.#makeActive(directory, parent);
    // A view of something shows what is there already, and needs no directory of its own.
    return snapshot.parent === undefined ? makeUpper : undefined;
  }

  mounts(snapshot: StoredSnapshot): readonly Mount[] {
    return snapshotMounts(snapshot, (id) => this.#store.directory(id), this.#common);
  }

  async flush(): Promise<void> {
    await this.#flusher?.flush();
  }

  async #makeActive(directory: string, parent: number | undefined): Promise<void> {
    await makeUpper(directory);
    const work = join(directory, "work");
    await mkdir(work);
    await chmod(work, 0o711);
    if (parent !== undefined) copyRootAttributes(this.#upper(parent), join(directory, "fs"));
  }

  #upper(id: number): string {
    return join(this.#store.directory(id), "fs");
  }
}

async function makeUpper(directory: string): Promise<void> {
  const upper = join(directory, "fs");
  await mkdir(upper);
  // Whatever the umask is.
  await chmod(upper, 0o755);
}
