import { constants } from "node:fs";
import { lstat, open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { CodedError } from "@varve/errors";

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;

/** A directory that is open. */
export interface OpenDirectory {
  /** Leads to it whatever has its name by now, as long as it is open. */
  readonly path: string;
  close(): Promise<void>;
}

/**
 * Opens a directory below `root`, whose names may not be links. Nothing is looked up by more than one name at a time, so that
 * nobody can put a link in between.
 *
 * @throws ERR_DATA_LOSS it is gone
 * @throws ERR_INVALID_DATA one of the names is no directory
 */
export async function openDirectory(root: string, names: readonly string[], subject: string): Promise<OpenDirectory> {
  let path = root;
  let handle: FileHandle | undefined;
  for (const name of names) {
    const above = handle;
    try {
      handle = await open(join(path, name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    } catch (error) {
      throw told(error, subject);
    } finally {
      await above?.close();
    }
    path = `/proc/self/fd/${handle.fd}`;
  }
  return { path, close: async () => handle?.close() };
}

/**
 * Opens a regular file in a directory that is open. Others are not even opened: a fifo waits, and a device may do something.
 *
 * @throws ERR_DATA_LOSS it is gone
 * @throws ERR_INVALID_DATA it is no regular file
 */
export async function openFile(directory: OpenDirectory, name: string, subject: string): Promise<FileHandle> {
  const path = join(directory.path, name);
  let handle: FileHandle | undefined;
  try {
    if ((await lstat(path)).isFile()) handle = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    throw told(error, subject);
  }
  if (handle === undefined) throw new CodedError("ERR_INVALID_DATA", `${subject} is not a regular file`);
  return handle;
}

/** The contents of a file of at most `most` bytes; `openFile` tells of what it throws. @throws ERR_RESOURCE_EXHAUSTED it is longer */
export async function readSmallFile(
  directory: OpenDirectory,
  name: string,
  { most, subject }: { readonly most: number; readonly subject: string },
): Promise<Buffer> {
  const file = await openFile(directory, name, subject);
  try {
    const buffer = Buffer.alloc(most + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length);
      length += bytesRead;
      if (length > most) throw new CodedError("ERR_RESOURCE_EXHAUSTED", `${subject} is longer than ${most} bytes`);
      if (bytesRead === 0) return buffer.subarray(0, length);
    }
  } finally {
    await file.close();
  }
}

function told(error: unknown, subject: string): unknown {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ENOENT") return new CodedError("ERR_DATA_LOSS", `${subject} is missing`, { cause: error });
  if (code === "ELOOP" || code === "ENOTDIR") {
    return new CodedError("ERR_INVALID_DATA", `${subject} is a link, or not a directory`, { cause: error });
  }
  return error;
}
