import { realpath, stat } from "node:fs/promises";
import { CodedError } from "@varve/errors";

/**
 * The path of a directory without links, so that nobody below has to follow any.
 *
 * @throws ERR_NOT_FOUND, ERR_INVALID_ARGUMENT it is not there, or no directory
 */
export async function existingDirectory(directory: string): Promise<string> {
  try {
    const path = await realpath(directory);
    if ((await stat(path)).isDirectory()) return path;
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw new CodedError("ERR_NOT_FOUND", `directory ${directory}: no such directory`, { cause: error });
  }
  throw new CodedError("ERR_INVALID_ARGUMENT", `directory ${directory}: not a directory`);
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
}
