import { accessSync, constants, existsSync } from "node:fs";
import { chmod, mkdir, realpath, stat as statFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { openDatabase } from "./database.ts";
import { Directories, recordName } from "./directories.ts";
import { isErrno } from "./errno.ts";
import { lostWritesOf } from "./lost-writes.ts";
import type { SnapshotStore } from "./snapshot-store.ts";
import { DirectoryStore } from "./store.ts";

export interface SnapshotStoreOptions {
  /** The directory that belongs to this store; made if it is missing, and closed to other users. */
  readonly root: string;
  /**
   * `full`: what is recorded survives a power cut. `none`: only the end of the process; for stores that are thrown away.
   * Default: `full`.
   */
  readonly durability?: "full" | "none" | undefined;
  /** When the files of a removed snapshot go: `now`, or `later`, at the next `cleanup` or open. Default: `now`. */
  readonly removal?: "now" | "later" | undefined;
}

/**
 * Opens the store in `root`, and removes what killed processes left there.
 *
 * @throws ERR_NOT_IMPLEMENTED a newer program has written it
 * @throws ERR_DATA_LOSS its record is damaged, or lost while its snapshots are there
 */
export async function openSnapshotStore(options: SnapshotStoreOptions): Promise<SnapshotStore> {
  const path = resolve(options.root);
  await makeRoot(path);
  const root = await realpath(path);
  await closeToOthers(root);
  const { durability, removal = "now" } = options;
  const database = await openDatabase(join(root, recordName), { durability });
  try {
    const [directories, lostWrites] = [new Directories(root), lostWritesOf(root)];
    const store = new DirectoryStore({ database, directories, lostWrites, removal });
    await store.sweepAtOpen();
    return store;
  } catch (error) {
    database.close();
    throw error;
  }
}

async function makeRoot(path: string): Promise<void> {
  if (!existsSync(path)) {
    let parent = dirname(path);
    while (!existsSync(parent)) parent = dirname(parent);
    // What Node's recursive mkdir says of a read-only filesystem is that something was not found (F05).
    accessSync(parent, constants.W_OK);
  }
  await mkdir(path, { recursive: true, mode: 0o700 });
}

// Snapshots hold setuid programs of strangers: no other user may get at them (U-OVL.1).
async function closeToOthers(root: string): Promise<void> {
  const { mode, uid } = await statFile(root);
  if ((mode & 0o077) === 0 || uid !== process.geteuid?.()) return;
  await chmod(root, 0o700).catch((error: unknown) => {
    // Reading is possible all the same.
    if (!isErrno(error, "EROFS")) throw error;
  });
}
