import { constants } from "node:os";
import { getSystemErrorMap } from "node:util";
import { CodedError } from "@varve/errors";
import type { ErrorCode } from "@varve/errors";
import { isFull, obstacleTo } from "./refusal.ts";

// Result codes of SQLite, https://www.sqlite.org/rescode.html
const busy = 5;
const outOfMemory = 7;
const readOnly = 8;
const inputOutput = 10;
const corrupt = 11;
const full = 13;
const cannotOpen = 14;
const lockingProtocol = 15;
const notADatabase = 26;
/** The memory that connections share lies in a file, which could not be made larger. */
const sharedMemorySize = 4874;

/** What errors say of a database. */
export interface Named {
  readonly path: string;
  /** Starts the message. */
  readonly subject: string;
  /** The code for a file that is none of ours. */
  readonly foreign: Extract<ErrorCode, "ERR_INVALID_DATA" | "ERR_DATA_LOSS">;
}

export function isBusy(error: unknown): boolean {
  return primaryCode(error) === busy;
}

/** Whether a new connection may do better: SQLite opens for reading what it cannot open for writing, and keeps to it (F04). */
export function isRefused(error: unknown): boolean {
  return [readOnly, cannotOpen].includes(primaryCode(error) ?? 0);
}

export function isCannotOpen(error: unknown): boolean {
  return primaryCode(error) === cannotOpen;
}

/** Whether the disk has failed: no write is to blame, and none is tried again. */
export function isDiskFailure(error: unknown): boolean {
  return primaryCode(error) === inputOutput;
}

export function isNoSpace(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOSPC";
}

/** What SQLite throws as an error of ours, or with the code of the system for the reason. Other errors pass as they are. */
export function translate(error: unknown, named: Named): unknown {
  const code = primaryCode(error);
  if (code === undefined) return error;
  const subject = `${named.subject} ${named.path}`;
  if (code === full || resultOf(error) === sharedMemorySize) return systemError("ENOSPC", subject, error);
  switch (code) {
    case readOnly:
      return systemError(obstacleTo(named.path)?.code ?? "EROFS", subject, error);
    case inputOutput:
      return systemError(obstacleTo(named.path)?.code ?? "EIO", subject, error);
    case outOfMemory:
      return systemError("ENOMEM", subject, error);
    case cannotOpen:
      return openError(error, named);
    case lockingProtocol:
      return new CodedError("ERR_UNAVAILABLE", `${subject}: could not be locked`, { cause: error });
    case corrupt:
      return new CodedError("ERR_DATA_LOSS", `${subject}: the database is damaged`, { cause: error });
    case notADatabase:
      return new CodedError(named.foreign, `${subject}: not a database`, { cause: error });
    default:
      return new CodedError("ERR_INTERNAL", `${subject}: ${messageOf(error)}`, { cause: error });
  }
}

/** The error that the operating system would give for `code`, in its own words, after `subject`. */
export function systemError(code: string, subject: string, cause?: unknown): Error {
  const number = Object.entries(constants.errno).find(([name]) => name === code)?.[1];
  const text = [...getSystemErrorMap().values()].find(([name]) => name === code)?.[1] ?? code;
  const errno = number === undefined ? {} : { errno: -number };
  return Object.assign(new Error(`${subject}: ${text}`, cause === undefined ? {} : { cause }), { code, ...errno });
}

/** SQLite does not say which of its files it cannot open, nor why; the file system does. */
function openError(error: unknown, { subject, path }: Named): Error {
  const found = obstacleTo(path) ?? (isFull(path) ? { file: path, code: "ENOSPC" } : undefined);
  if (found !== undefined) return systemError(found.code, `${subject} ${found.file}: cannot be opened`, error);
  const message = `${subject} ${path}: could not be opened, for a reason that has gone since`;
  return new CodedError("ERR_UNAVAILABLE", message, { cause: error });
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
