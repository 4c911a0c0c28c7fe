import { constants } from "node:fs";
import type { BigIntStats } from "node:fs";
import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { CodedError } from "@varve/errors";

/** A file as it was at one moment. */
export interface FileState {
  readonly text: string;
  readonly stats: BigIntStats;
}

const maxSize = 4 * 1024 * 1024;

/**
 * Reads a small file; `undefined` if there is none.
 *
 * @throws ERR_INVALID_DATA it is a directory, a pipe or the like, which is never read
 * @throws ERR_RESOURCE_EXHAUSTED it is larger than 4 MiB
 */
export async function readSmallFile(path: string): Promise<FileState | undefined> {
  let handle;
  try {
    // Opening a pipe that nobody writes to would wait for ever.
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  try {
    const stats = await handle.stat({ bigint: true });
    // The empty file of those who want none.
    if (stats.isCharacterDevice()) return { text: "", stats };
    if (!stats.isFile()) throw new CodedError("ERR_INVALID_DATA", `${path}: not a regular file`);
    return { text: await readAll(handle, path), stats };
  } finally {
    await handle.close();
  }
}

/** Whatever its size was said to be: it may grow, and files of /proc say 0. */
async function readAll(handle: FileHandle, path: string): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for (;;) {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(64 * 1024));
    if (bytesRead === 0) return Buffer.concat(chunks, size).toString("utf8");
    size += bytesRead;
    if (size > maxSize) throw tooLarge(path);
    chunks.push(buffer.subarray(0, bytesRead));
  }
}

function tooLarge(path: string): CodedError {
  return new CodedError("ERR_RESOURCE_EXHAUSTED", `${path}: larger than the limit of ${maxSize} bytes`);
}

export function isMissing(error: unknown): boolean {
  return hasErrno(error, "ENOENT") || hasErrno(error, "ENOTDIR");
}

export function hasErrno(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
