import { getSystemErrorMap } from "node:util";
import { CodedError } from "@varve/errors";
import { systemError } from "./errno.ts";
import { openRefusal } from "./refusal.ts";

// https://www.sqlite.org/rescode.html
const SQLITE_BUSY = 5;
const SQLITE_READONLY = 8;
const SQLITE_IOERR = 10;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const SQLITE_NOTADB = 26;
/** The memory that the users of a log share is a file, which could not be made larger. */
const SQLITE_IOERR_SHMSIZE = 4874;

export function isBusy(error: unknown): boolean {
  return primaryCode(error) === SQLITE_BUSY;
}

/** Whether a connection opened anew may do better: SQLite opens for reading what it cannot open for writing, and keeps to it. */
export function isRefused(error: unknown): boolean {
  return [SQLITE_READONLY, SQLITE_CANTOPEN].includes(primaryCode(error) ?? 0);
}

export function cannotOpen(error: unknown): boolean {
  return primaryCode(error) === SQLITE_CANTOPEN;
}

/** What SQLite throws, with the code of the reason and the file it is about. Other errors pass as they are. */
export function translate(error: unknown, path: string): unknown {
  const code = primaryCode(error);
  if (code === undefined) return error;
  const subject = `snapshot store ${path}`;
  if (code === SQLITE_FULL || resultOf(error) === SQLITE_IOERR_SHMSIZE) return refusedError("ENOSPC", path, error);
  switch (code) {
    case SQLITE_READONLY:
      return refusedError(openRefusal(path) ?? "EROFS", path, error);
    case SQLITE_IOERR:
      return refusedError(openRefusal(path) ?? "EIO", path, error);
    case SQLITE_CANTOPEN: {
      const refusal = openRefusal(path);
      if (refusal !== undefined) return refusedError(refusal, path, error);
      return new CodedError("ERR_UNAVAILABLE", `${subject}: cannot be opened`, { cause: error });
    }
    case SQLITE_CORRUPT:
      return new CodedError("ERR_DATA_LOSS", `${subject}: damaged`, { cause: error });
    case SQLITE_NOTADB:
      return new CodedError("ERR_DATA_LOSS", `${subject}: damaged: not a database`, { cause: error });
    default:
      return new CodedError("ERR_INTERNAL", `${subject}: ${messageOf(error)}`, { cause: error });
  }
}

/** The error of the system that SQLite ran into, in the system's own words. */
export function refusedError(code: string, path: string, cause?: unknown): Error {
  const text = [...getSystemErrorMap().values()].find(([name]) => name === code)?.[1];
  return systemError(code, `snapshot store ${path}: ${text ?? code}`, cause);
}

/** SQLite's result code without its details, which are in the upper bits. */
function primaryCode(error: unknown): number | undefined {
  const result = resultOf(error);
  return result === undefined ? undefined : result & 0xff;
}

function resultOf(error: unknown): number | undefined {
  return error instanceof Error && "errcode" in error && typeof error.errcode === "number" ? error.errcode : undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
