import { realpath, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { CodedError } from "@varve/errors";

/**
 * The path of a directory to mount on, without links.
 *
 * @throws ERR_NOT_FOUND, ERR_INVALID_ARGUMENT it is not there, or no directory
 */
export async function existingDirectory(directory: string): Promise<string> {
  try {
    const place = await realpath(directory);
    if ((await stat(place)).isDirectory()) return place;
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw new CodedError("ERR_NOT_FOUND", `mount ${directory}: no such directory`, { cause: error });
  }
  throw new CodedError("ERR_INVALID_ARGUMENT", `mount ${directory}: not a directory`);
}

/** The path without links, as far as it exists: a directory may be removed after its mount was taken off by hand. */
export async function resolveLinks(directory: string): Promise<string> {
  const missing: string[] = [];
  for (let path = resolve(directory); ; path = dirname(path)) {
    try {
      return join(await realpath(path), ...missing);
    } catch (error) {
      if (!isMissing(error)) throw error;
      missing.unshift(basename(path));
    }
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
}
