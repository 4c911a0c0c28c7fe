import { mkdir, readdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { ContentStore, Follower } from "@varve/content";
import { isLeftover, moveToTrash } from "./claims.ts";
import { Syncer } from "./durability.ts";
import type { Durability } from "./durability.ts";
import { isErrno, orMissing } from "./errno.ts";
import { FsContentStore } from "./fs-store.ts";
import { isIngestName, layoutOf, pathsIn, trashPrefix } from "./layout.ts";
import type { Layout } from "./layout.ts";
import { StoreLock } from "./store-lock.ts";

export interface ContentStoreOptions {
  /** Directory of the store; it is made if it is missing. */
  readonly root: string;
  /**
   * `full` (default): a committed blob survives a power cut. `none`: the operating system writes it when it likes; faster,
   * for stores that can be filled again.
   */
  readonly durability?: Durability | undefined;
}

/**
 * Opens a content store in a directory. Any number of processes may have it open at once.
 * What a killed process left half made is removed; ingests that can be continued stay.
 */
export async function openContentStore(options: ContentStoreOptions): Promise<ContentStore & Follower> {
  const layout = layoutOf(resolve(options.root));
  const syncer = new Syncer(options.durability ?? "full");
  await mkdir(layout.root, { recursive: true, mode: 0o700 });
  const made = [
    await mkdir(layout.ingests, { recursive: true }),
    await mkdir(join(layout.blobs, "sha256"), { recursive: true }),
  ];
  if (made.some((path) => path !== undefined)) {
    await syncer.directory(layout.blobs);
    await syncer.directory(layout.root);
  }
  const lock = new StoreLock(layout.lock);
  try {
    await sweep(layout, lock);
  } catch (error) {
    lock.close();
    throw error;
  }
  return new FsContentStore(layout, lock, syncer);
}

/** What is no reason not to open a store: sweeping can wait, reading and removing cannot (F01, F05). */
const unimportant = ["EROFS", "EACCES", "EPERM", "ENOSPC", "EDQUOT"];

/** Removes trash, and ingests that nobody can continue (K01, K02, K08). */
async function sweep(layout: Layout, lock: StoreLock): Promise<void> {
  for (const name of await readdir(layout.ingests)) {
    try {
      await sweepOne(layout, lock, name);
    } catch (error) {
      if (!isErrno(error, ...unimportant)) throw error;
    }
  }
}

async function sweepOne(layout: Layout, lock: StoreLock, name: string): Promise<void> {
  const path = join(layout.ingests, name);
  let trash: string | undefined;
  if (name.startsWith(trashPrefix)) {
    trash = path;
  } else if (isIngestName(name) && isLeftover(pathsIn(path))) {
    // Looked at again under the lock. Ingests are made under it, so a half one that is seen there is dead.
    trash = await lock.run(() =>
      isLeftover(pathsIn(path)) ? orMissing(() => moveToTrash(layout, pathsIn(path))) : undefined,
    );
  }
  if (trash !== undefined) await rm(trash, { recursive: true, force: true });
}
