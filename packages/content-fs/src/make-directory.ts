import { mkdirSync } from "node:fs";
import { isErrno } from "./errno.ts";

/**
 * Makes one directory, and says whether it was missing. Not recursive: on a read-only file system Node's recursive mkdir
 * reports ENOENT instead of the reason.
 */
export function makeDirectory(path: string, mode?: number): boolean {
  try {
    mkdirSync(path, { mode });
    return true;
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw error;
    return false;
  }
}
