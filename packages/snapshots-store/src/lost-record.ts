import { readdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { CodedError } from "@varve/errors";
import { isErrno, withSubject } from "./errno.ts";

/** What the name of a snapshot's directory looks like: its id. */
export const directoryName: RegExp = /^[1-9][0-9]{0,14}$/;

/**
 * Throws if the record at `path` is missing or empty, and directories of snapshots are there: the next cleanup of a new
 * record would take all of them for litter (P07). The directories are looked for first, as a record is made before them.
 *
 * @throws ERR_DATA_LOSS
 */
export function mustNotBeLost(path: string): void {
  const directories = snapshotDirectories(path);
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  // Of one byte SQLite says that there is none.
  if (directories > 0 && (size ?? 0) <= 1) throw lost(path, directories, size === undefined ? "gone" : "empty");
}

/**
 * The same for a record with no tables in it. Only while nobody can write.
 *
 * @throws ERR_DATA_LOSS
 */
export function mustHaveNoSnapshots(path: string): void {
  const directories = snapshotDirectories(path);
  if (directories > 0) throw lost(path, directories, "empty");
}

function lost(path: string, directories: number, how: string): CodedError {
  const found = directories === 1 ? "1 snapshot directory stands" : `${directories} snapshot directories stand`;
  const remedy = `restore it, or remove ${dirname(path)} to begin anew`;
  return new CodedError(
    "ERR_DATA_LOSS",
    `snapshot store ${path}: the record is ${how}, but ${found} beside it: nothing was removed: ${remedy}`,
  );
}

function snapshotDirectories(path: string): number {
  try {
    return readdirSync(dirname(path)).filter((name) => directoryName.test(name)).length;
  } catch (error) {
    if (isErrno(error, "ENOENT")) return 0;
    throw withSubject(error, `snapshot store ${path}`, dirname(path));
  }
}
