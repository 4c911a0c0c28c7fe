import { CodedError } from "@varve/errors";

// Result codes of SQLite, https://www.sqlite.org/rescode.html
const busy = 5;
const readOnly = 8;
const inputOutput = 10;
const corrupt = 11;
const full = 13;
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
export function translate(error: unknown, subject: string): unknown {
  const result = resultOf(error);
  if (result === undefined) return error;
  if (result === sharedMemorySize) return systemError("ENOSPC", `${subject}: no space left on device`, error);
  switch (result % 256) {
    case full:
      return systemError("ENOSPC", `${subject}: no space left on device`, error);
    case readOnly:
      return systemError("EROFS", `${subject}: the file system is read-only`, error);
    case inputOutput:
      return systemError("EIO", `${subject}: reading or writing failed`, error);
    case corrupt:
      return new CodedError("ERR_DATA_LOSS", `${subject}: the database is damaged`, { cause: error });
    case notADatabase:
      return new CodedError("ERR_INVALID_DATA", `${subject}: not a database`, { cause: error });
    default:
      return error;
  }
}

export function resultOf(error: unknown): number | undefined {
  return error instanceof Error && "errcode" in error && typeof error.errcode === "number" ? error.errcode : undefined;
}

function systemError(code: string, message: string, cause: unknown): Error {
  return Object.assign(new Error(message, { cause }), { code });
}
