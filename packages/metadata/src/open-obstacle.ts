import { accessSync, closeSync, constants, openSync, statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";

/** A file that cannot be opened, and the error of the system that says why. */
export interface Obstacle {
  readonly file: string;
  readonly code: string;
}

/**
 * Why SQLite cannot open a database or the files beside it, if that can still be seen. None of them is opened to find out:
 * closing a file ends all locks that this process has on it, also those of other connections
 * (https://www.sqlite.org/howtocorrupt.html, 2.2).
 */
export function whatIsInTheWay(path: string): Obstacle | undefined {
  const directory = dirname(path);
  // Fails with EMFILE and ENFILE when every file does.
  const checks: [string, () => void][] = [
    [path, () => closeSync(openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY))],
    ...["", "-wal", "-shm"].map((suffix): [string, () => void] => [
      `${path}${suffix}`,
      () => check(`${path}${suffix}`),
    ]),
    [path, () => mustHaveSpace(directory)],
  ];
  for (const [file, call] of checks) {
    try {
      call();
    } catch (error) {
      return { file, code: codeOf(error) };
    }
  }
  return undefined;
}

export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "EIO";
}

function check(file: string): void {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) accessSync(dirname(file), constants.W_OK);
  else if (!stat.isFile()) throw withCode("EISDIR");
  else accessSync(file, constants.R_OK | constants.W_OK);
}

function mustHaveSpace(directory: string): void {
  const { bavail, files, ffree } = statfsSync(directory);
  // File systems without a table of files say that they have none.
  if (bavail === 0 || (files > 0 && ffree === 0)) throw withCode("ENOSPC");
}

function withCode(code: string): Error {
  return Object.assign(new Error(code), { code });
}
