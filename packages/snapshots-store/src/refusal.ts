import { accessSync, closeSync, constants, openSync } from "node:fs";
import { dirname } from "node:path";
import { errnoOf } from "./errno.ts";

// As for open(2), the same number wherever Node runs on Linux. Closing what was opened with it drops no locks: those of
// fcntl(2) belong to the process, and closing a file opened otherwise would take them from every connection that has it open.
const O_PATH = 0o10000000;
/** The database, its log, the memory shared by its users, and the directory while a file is made in it. */
const descriptorsNeeded = 4;

/** Why nobody here may write the database at `path`: `EROFS`, `EACCES`; `undefined` if it may be written. */
export function writeRefusal(path: string): string | undefined {
  return codeOf(() => {
    accessSync(dirname(path), constants.W_OK);
    accessSync(path, constants.W_OK);
  });
}

/** What the system has now against opening the database at `path`, which SQLite does not tell; `undefined` if nothing. */
export function openRefusal(path: string): string | undefined {
  const opened: number[] = [];
  try {
    const refusal = codeOf(() => {
      while (opened.length < descriptorsNeeded) opened.push(openSync(path, O_PATH));
    });
    return refusal ?? writeRefusal(path);
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}

function codeOf(call: () => void): string | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    return errnoOf(error) ?? "EIO";
  }
}
