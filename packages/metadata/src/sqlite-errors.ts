import { CodedError } from "@varve/errors";
import { whatIsInTheWay } from "./open-obstacle.ts";

// Result codes of SQLite, https://www.sqlite.org/rescode.html
const busy = 5;
const readOnly = 8;
const inputOutput = 10;
const corrupt = 11;
const full = 13;
export const cannotOpen = 14;
const notADatabase = 26;
/** The memory that connections share lies in a file, which could not be made larger. */
const sharedMemorySize = 4874;

export function isBusy(error: unknown): boolean {
  return (resultOf(error) ?? 0) % 256 === busy;
}

export function isNoSpace(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOSPC";
}

/** What SQLite throws as an error of ours, or with the code that Node gives such an error of the system. */
export function translate(error: unknown, path: string): unknown {
  const result = resultOf(error);
  const subject = `metadata ${path}`;
  if (result === undefined) return error;
  if (result === sharedMemorySize) return systemError("ENOSPC", `${subject}: no space left on device`, error);
  switch (result % 256) {
    case full:
      return systemError("ENOSPC", `${subject}: no space left on device`, error);
    case readOnly:
      return systemError("EROFS", `${subject}: the file system is read-only`, error);
    case inputOutput:
      return systemError("EIO", `${subject}: reading or writing failed`, error);
    case cannotOpen:
      return openError(error, path);
    case corrupt:
      return new CodedError("ERR_DATA_LOSS", `${subject}: the database is damaged`, { cause: error });
    case notADatabase:
      return new CodedError("ERR_INVALID_DATA", `${subject}: not a database`, { cause: error });
    default:
      return error;
  }
}

/** SQLite does not say which of its files it cannot open, nor why; the file system does. */
function openError(error: unknown, path: string): Error {
  const found = whatIsInTheWay(path);
  if (found !== undefined)
    return systemError(found.code, `metadata ${found.file}: cannot be opened: ${found.code}`, error);
  return new CodedError("ERR_UNAVAILABLE", `metadata ${path}: could not be opened, for a reason that has gone since`, {
    cause: error,
  });
}

export function resultOf(error: unknown): number | undefined {
  return error instanceof Error && "errcode" in error && typeof error.errcode === "number" ? error.errcode : undefined;
}

function systemError(code: string, message: string, cause: unknown): Error {
  return Object.assign(new Error(message, { cause }), { code });
}
