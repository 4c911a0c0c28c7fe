import { mkdir, readdir } from "node:fs/promises";
import type { Mounter } from "@varve/mount";

/**
 * Makes `directory`, where layers are mounted while they are written. What killed processes have left mounted there is taken off,
 * and never what a living one has (K18). What cannot be done, as by a process that may not unmount or on a disk for reading
 * only, keeps nobody from using the store: whoever can does it.
 */
export async function openMountDirectory(mounter: Mounter, directory: string): Promise<void> {
  try {
    // Only the first time is there none.
    const names = await readdir(directory).catch(() => mkdir(directory, { mode: 0o700 }));
    if (names === undefined || names.length === 0) return;
    const { removeStaleTemporaryMounts } = await import("@varve/mount");
    await removeStaleTemporaryMounts(mounter, directory);
  } catch {
    // All that is wrong with it is litter.
  }
}
