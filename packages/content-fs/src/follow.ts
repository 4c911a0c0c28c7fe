import type { BigIntStats } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { open, stat } from "node:fs/promises";
import type { StreamOptions } from "@varve/content";
import { CodedError } from "@varve/errors";
import { isErrno } from "./errno.ts";
import type { IngestPaths } from "./layout.ts";
import type { WakeUps } from "./wake-ups.ts";

const chunkSize = 256 * 1024;
/** How often to look for what another process has written. */
const pollMs = 50;
/** With the writer in this store, wake-ups come at once; looking is for what they cannot tell. */
const idleMs = 500;

export interface FollowHost {
  readonly wakeUps: WakeUps;
  /** Whether the ingest is written by this very store. */
  writesHere(paths: IngestPaths): boolean;
  mustBeOpen(): void;
}

/**
 * Reads the data file of an ingest while it grows. The handle is opened once: it stays on the same bytes when the commit
 * renames the file, and another writer of the ref appends to the same file. Bytes that are dropped leave their file
 * unlinked or replaced; bytes that are verified have lost the write permission before the file moves.
 */
export async function* followIngest(
  host: FollowHost,
  ref: string,
  paths: IngestPaths,
  options: StreamOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { reuse = false, signal } = options;
  signal?.throwIfAborted();
  const file = await openData(ref, paths);
  const shared = reuse ? Buffer.allocUnsafeSlow(chunkSize) : undefined;
  try {
    let position = 0;
    for (;;) {
      host.mustBeOpen();
      signal?.throwIfAborted();
      const news = host.wakeUps.listen(paths.dir);
      try {
        const state = await look(file, paths);
        if (position < state.size) {
          const chunk = await readSome(file, position, state.size, shared);
          position += chunk.byteLength;
          if (chunk.byteLength > 0) yield chunk;
        } else if (state.outcome === "committed") {
          return;
        } else if (state.outcome === "dropped") {
          throw new CodedError("ERR_ABORTED", `ingest ${ref}: dropped while it was followed, after ${position} bytes`);
        } else {
          await news.wait(host.writesHere(paths) ? idleMs : pollMs, signal);
        }
      } finally {
        news.stop();
      }
    }
  } finally {
    await file.close();
  }
}

async function openData(ref: string, paths: IngestPaths): Promise<FileHandle> {
  try {
    return await open(paths.data, "r");
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
    throw new CodedError("ERR_NOT_FOUND", `ingest ${ref}: not found`, { cause: error });
  }
}

interface Look {
  readonly size: number;
  readonly outcome: "growing" | "committed" | "dropped";
}

/** The name first, the file second: if the name has gone, what became of the file is decided when it is looked at. */
async function look(file: FileHandle, paths: IngestPaths): Promise<Look> {
  const named = await statOrMissing(paths.data);
  const own = await file.stat({ bigint: true });
  const size = Number(own.size);
  const inPlace = named !== undefined && named.ino === own.ino && named.dev === own.dev && own.nlink > 0n;
  if (inPlace) return { size, outcome: "growing" };
  const verified = (own.mode & 0o222n) === 0n;
  return { size, outcome: verified ? "committed" : "dropped" };
}

async function statOrMissing(path: string): Promise<BigIntStats | undefined> {
  try {
    return await stat(path, { bigint: true });
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

async function readSome(
  file: FileHandle,
  position: number,
  size: number,
  shared: Buffer | undefined,
): Promise<Uint8Array> {
  const wanted = Math.min(chunkSize, size - position);
  const buffer = shared ?? Buffer.allocUnsafeSlow(wanted);
  const { bytesRead } = await file.read(buffer, 0, wanted, position);
  return buffer.subarray(0, bytesRead);
}
