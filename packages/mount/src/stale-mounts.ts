import { readdir, realpath } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isOwnerAlive } from "@varve/locks";
import type { Mounter } from "./mounter.ts";
import { takeOff } from "./temporary-mount.ts";
import { temporaryMountOwner } from "./temporary-name.ts";

/**
 * Takes off the temporary mounts that killed processes have left in `directory`, and removes their directories by a
 * plain rmdir. Those of living processes, what has another name and what is no directory stay as they are. Several
 * processes may do this at once.
 *
 * @param directory what `withTemporaryMount` was given. Default: the system's directory for such
 * @returns how many this call has removed
 * @throws what the mounter throws, after everything else has been tried
 */
export async function removeStaleTemporaryMounts(mounter: Mounter, directory: string = tmpdir()): Promise<number> {
  let removed = 0;
  const failures: unknown[] = [];
  for (const path of await stalePaths(directory)) {
    try {
      await takeOff(mounter, path);
      removed += 1;
    } catch (error) {
      if (!leaves.has(codeOf(error))) failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
  return removed;
}

/**
 * No business of ours: another process was faster (ENOENT), it is another user's (the next three), it holds files, so it
 * is not what it seems (ENOTEMPTY), or it has been replaced by something else (ENOTDIR, EBUSY).
 */
const leaves: ReadonlySet<unknown> = new Set([
  "ENOENT",
  "ERR_PERMISSION_DENIED",
  "EPERM",
  "EACCES",
  "ENOTEMPTY",
  "ENOTDIR",
  "EBUSY",
]);

async function stalePaths(directory: string): Promise<readonly string[]> {
  try {
    const place = await realpath(directory);
    const entries = await readdir(place, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory() && isStale(entry.name)).map(({ name }) => join(place, name));
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  }
}

function isStale(name: string): boolean {
  const owner = temporaryMountOwner(name);
  return owner !== undefined && !isOwnerAlive(owner);
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
