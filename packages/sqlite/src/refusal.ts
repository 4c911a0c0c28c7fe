import { accessSync, closeSync, constants, openSync, statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";

/** A file, and the system's code for what is the matter with it. */
export interface Obstacle {
  readonly file: string;
  readonly code: string;
}

/** The database, its log, the memory shared by its users, and the directory while a file is made in it. */
const descriptorsNeeded = 4;
const directoryFlags = constants.O_RDONLY | constants.O_DIRECTORY;

/** Why nobody here may write the database at `path`: `EROFS`, `EACCES`, `ENOENT`; `undefined` if it may be written. */
export function writeRefusal(path: string): string | undefined {
  return refusal(() => {
    accessSync(dirname(path), constants.W_OK);
    accessSync(path, constants.W_OK);
  });
}

/**
 * What the system has now against opening a database and the files beside it, which SQLite does not tell; `undefined` if
 * nothing. None of them is opened to find out: closing a file ends all locks that this process has on it, also those of
 * other connections (https://www.sqlite.org/howtocorrupt.html, 2.2).
 */
export function obstacleTo(path: string): Obstacle | undefined {
  const checks: readonly [string, () => void][] = [
    [path, () => mustHaveDescriptors(dirname(path))],
    ...["", "-wal", "-shm"].map((suffix): [string, () => void] => [
      `${path}${suffix}`,
      () => mustBeUsable(`${path}${suffix}`),
    ]),
  ];
  for (const [file, check] of checks) {
    const code = refusal(check);
    if (code !== undefined) return { file, code };
  }
  return undefined;
}

/** Whether no more files can be made where the database is. */
export function isFull(path: string): boolean {
  try {
    const { bavail, files, ffree } = statfsSync(dirname(path));
    // File systems without a table of files say that they have none.
    return bavail === 0 || (files > 0 && ffree === 0);
  } catch {
    return false;
  }
}

/** The code of an error of the system. */
export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "EIO";
}

function mustHaveDescriptors(directory: string): void {
  const opened: number[] = [];
  try {
    while (opened.length < descriptorsNeeded) opened.push(openSync(directory, directoryFlags));
  } finally {
    for (const descriptor of opened) closeSync(descriptor);
  }
}

function mustBeUsable(file: string): void {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) accessSync(dirname(file), constants.W_OK);
  else if (!stat.isFile()) throw Object.assign(new Error("EISDIR"), { code: "EISDIR" });
  else accessSync(file, constants.R_OK | constants.W_OK);
}

function refusal(check: () => void): string | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    return codeOf(error);
  }
}
