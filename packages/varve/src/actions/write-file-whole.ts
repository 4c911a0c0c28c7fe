import { randomUUID } from "node:crypto";
import { lstat, open, rename, rm } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { CodedError } from "@varve/errors";

/**
 * Writes a stream to a file that is there only when the stream has ended well: an older file of that name stays until then.
 * Devices, pipes and links are written to as they are: they must not be replaced.
 */
export async function writeFileWhole(path: string, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  if (await isSpecial(path)) {
    await writeTo(await open(path, "w"), bytes);
    return;
  }
  const unfinished = `${path}.${randomUUID()}`;
  try {
    await writeTo(await create(unfinished, path), bytes);
    await rename(unfinished, path);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
}

async function create(unfinished: string, path: string): Promise<FileHandle> {
  try {
    return await open(unfinished, "wx");
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw new CodedError("ERR_NOT_FOUND", `file ${path}: no such directory`, { cause: error });
  }
}

async function writeTo(file: FileHandle, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  try {
    for await (const chunk of bytes) await file.writeFile(chunk);
  } finally {
    await file.close();
  }
}

async function isSpecial(path: string): Promise<boolean> {
  try {
    return !(await lstat(path)).isFile();
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
