import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { ConfigPlace } from "./config-place.ts";

// More than any file of this kind has.
const maxSize = 1024 * 1024;
const chunkSize = 64 * 1024;

/**
 * Reads a small text file; `undefined` if there is none.
 *
 * @throws ERR_INVALID_DATA it is longer than 1 MiB, or no regular file
 */
export async function readConfigFile(path: string): Promise<string | undefined> {
  const file = await openIfThere(path);
  if (file === undefined) return undefined;
  try {
    if (!(await file.stat()).isFile()) throw new ConfigPlace(path).error("not a regular file");
    const chunks: Buffer[] = [];
    for (let size = 0; ;) {
      const chunk = Buffer.alloc(chunkSize);
      const { bytesRead } = await file.read(chunk, 0, chunkSize);
      if (bytesRead === 0) return Buffer.concat(chunks, size).toString("utf8");
      size += bytesRead;
      if (size > maxSize) throw new ConfigPlace(path).error(`longer than ${maxSize} bytes`);
      chunks.push(chunk.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, "r");
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Whether a file or directory is simply not there. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
}
