import { randomUUID } from "node:crypto";
import { readdir, rename, rm } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { currentOwner, isOwnerAlive, ownerFromFileName, ownerToFileName } from "@varve/locks";
import type { HeldDirectory } from "./held-directory.ts";

const prefix = ".varve-";

/**
 * Writes a file beside its place and moves it there when all of it is on disk: readers see the old one or the new one. What is
 * in its place is replaced; a link there is replaced, not followed.
 */
export async function replaceFile(
  scratch: HeldDirectory,
  place: { readonly directory: HeldDirectory; readonly name: string },
  write: (handle: FileHandle) => Promise<void>,
): Promise<void> {
  const temporary = `${prefix}${ownerToFileName(currentOwner())}-${randomUUID()}`;
  const handle = await scratch.newFile(temporary);
  try {
    try {
      await write(handle);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(scratch.at(temporary), place.directory.at(place.name));
  } catch (error) {
    await rm(scratch.at(temporary), { force: true });
    throw error;
  }
}

/** Removes what writers that were killed have left. */
export async function removeStale(scratch: HeldDirectory): Promise<void> {
  for (const name of await readdir(scratch.at("."))) {
    if (!name.startsWith(prefix)) continue;
    const owner = ownerFromFileName(name.slice(prefix.length, -randomUUID().length - 1));
    if (owner !== undefined && !isOwnerAlive(owner)) await rm(scratch.at(name), { force: true });
  }
}
