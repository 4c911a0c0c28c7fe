import { chmodSync, lstatSync, mkdirSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { CodedError } from "@varve/errors";
import type { Mount } from "@varve/mount";
import { labelUpperDirectory } from "@varve/snapshots";
import type { Checker, Cleaner, RebaseOptions, Rebaser, Snapshotter } from "@varve/snapshots";
import { DirectorySnapshotter, Flusher, openSnapshotStore } from "@varve/snapshots-store";
import type {
  DirectoryBackend,
  NewSnapshot,
  SnapshotIdentity,
  SnapshotStore,
  StoredSnapshot,
} from "@varve/snapshots-store";
import { syncfsAsync } from "@varve/syscalls";
import { commonOptions } from "./common-options.ts";
import { probeOverlay } from "./features.ts";
import { mustFitStack, snapshotMounts } from "./mounts.ts";
import { copyRootAttributes } from "./root-attributes.ts";

export interface OverlaySnapshotterOptions {
  /** The directory that belongs to this snapshotter; made if it is missing. Not on an overlay itself. */
  readonly root: string;
  /**
   * `full`: a committed snapshot survives a power cut. `none`: only the end of the process; for stores that are thrown away.
   * Default: `full`.
   */
  readonly durability?: "full" | "none" | undefined;
  /** When the files of a removed snapshot go: `now`, or `later`, at the next `cleanup` or open. Default: `now`. */
  readonly removal?: "now" | "later" | undefined;
  /**
   * Added to every overlay mount, before those found out (`index=off`, `metacopy=off`, `redirect_dir=nofollow`,
   * `userxattr`), of which each is left out that is set here. `volatile` is for active snapshots only. Default: none.
   */
  readonly mountOptions?: readonly string[] | undefined;
  /** Shows the absolute path of what a snapshot holds itself as the label `labelUpperDirectory`. Default: false. */
  readonly upperdirLabel?: boolean | undefined;
}

/**
 * Opens a snapshotter that stacks directories with overlayfs, and removes what killed processes left in `root`.
 * Opening does not try whether overlays can be mounted: see `checkOverlaySupport`.
 *
 * @throws ERR_INVALID_ARGUMENT a mount option names a directory
 * @throws ERR_NOT_IMPLEMENTED a newer program has written the store
 * @throws ERR_DATA_LOSS the record of the store is damaged, or lost while its snapshots are there
 */
export async function openOverlaySnapshotter(
  options: OverlaySnapshotterOptions,
): Promise<Snapshotter & Cleaner & Checker & Rebaser> {
  const common = commonOptions(probeOverlay(), options.mountOptions);
  const { root, durability, removal } = options;
  const store = await openSnapshotStore({ root, durability, removal });
  try {
    return new OverlaySnapshotter(store, new OverlayBackend(store, common, options));
  } catch (error) {
    await store.close();
    throw error;
  }
}

class OverlaySnapshotter extends DirectorySnapshotter implements Rebaser {
  readonly #store: SnapshotStore;

  constructor(store: SnapshotStore, backend: OverlayBackend) {
    super(store, backend);
    this.#store = store;
  }

  async rebase(key: string, parent: string, options: RebaseOptions = {}): Promise<readonly Mount[]> {
    // Before the record says so; what a committed snapshot stands on never changes.
    const { id, parentIds } = await this.#store.get(parent, options);
    mustFitStack(key, [id, ...parentIds]);
    // The root stays as it is: whoever filled the directory knows whether the layer itself says what the root is like.
    return this.mountsOf(await this.#store.rebase(key, parent, options));
  }
}

class OverlayBackend implements DirectoryBackend {
  readonly #store: SnapshotStore;
  readonly #flusher: Flusher | undefined;
  readonly #common: readonly string[];
  readonly #showUpper: boolean;

  constructor(store: SnapshotStore, common: readonly string[], options: OverlaySnapshotterOptions) {
    this.#store = store;
    this.#flusher = options.durability === "none" ? undefined : new Flusher(store.root, syncfsAsync);
    this.#common = common;
    this.#showUpper = options.upperdirLabel ?? false;
  }

  builder(snapshot: NewSnapshot): NewSnapshot["build"] {
    if (snapshot.kind === "active") return (directory, [parent]) => this.#makeActive(directory, parent);
    // A view of something shows what is there already, and needs no directory of its own.
    return snapshot.parent === undefined ? makeUpper : undefined;
  }

  admit(key: string, parentIds: readonly number[]): void {
    mustFitStack(key, parentIds);
  }

  mounts(snapshot: StoredSnapshot): readonly Mount[] {
    if (snapshot.kind === "active") mustHaveWork(snapshot.name, join(this.#store.directory(snapshot.id), "work"));
    return snapshotMounts(snapshot, (id) => this.#store.directory(id), this.#common);
  }

  labels({ id, hasDirectory }: SnapshotIdentity): Readonly<Record<string, string>> {
    return this.#showUpper && hasDirectory ? { [labelUpperDirectory]: this.#upper(id) } : {};
  }

  async flush(): Promise<void> {
    await this.#flusher?.flush();
  }

  async close(): Promise<void> {
    await this.#flusher?.close();
  }

  // Synchronous, as promises these few calls take several times as long.
  async #makeActive(directory: string, parent: number | undefined): Promise<void> {
    await makeUpper(directory);
    makeDirectory(join(directory, "work"), 0o711);
    if (parent !== undefined) copyRootAttributes(this.#upper(parent), join(directory, "fs"));
  }

  #upper(id: number): string {
    return join(this.#store.directory(id), "fs");
  }
}

/** The kernel empties what it finds in a work directory, wherever a link there leads (F12). */
function mustHaveWork(key: string, path: string): void {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat?.isDirectory() === true) return;
  const what = stat === undefined ? "is gone" : "was replaced by something else";
  throw new CodedError("ERR_DATA_LOSS", `snapshot ${key}: directory ${path} ${what}`);
}

async function makeUpper(directory: string): Promise<void> {
  const upper = join(directory, "fs");
  makeDirectory(upper, 0o755);
  utimesSync(upper, 0, 0);
}

/** With that mode, whatever the umask is. */
function makeDirectory(path: string, mode: number): void {
  mkdirSync(path, mode);
  chmodSync(path, mode);
}
