import type { BigIntStats } from "node:fs";
import { constants, fstatSync, statSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";
import type { StreamOptions } from "@varve/content";
import { CodedError } from "@varve/errors";
import { isErrno, withSubject } from "./errno.ts";
import { readRecord } from "./ingest-record.ts";
import type { IngestRecord } from "./ingest-record.ts";
import { blobPath, dataPath } from "./layout.ts";
import type { IngestPaths, Layout } from "./layout.ts";
import { retryOpen } from "./open-retry.ts";
import type { WakeUps } from "./wake-ups.ts";

const chunkSize = 256 * 1024;
/** How often to look for what another process has written. */
const pollMs = 50;
/** With the writer in this store, wake-ups come at once; looking is for what they cannot tell. */
const idleMs = 500;

export interface FollowHost {
  readonly layout: Layout;
  readonly wakeUps: WakeUps;
  /** Whether the ingest is written by this very store. */
  writesHere(paths: IngestPaths): boolean;
  mustBeOpen(): void;
}

/** Reads the data file of an ingest while it grows, whoever writes it. */
export async function* followIngest(
  host: FollowHost,
  ref: string,
  paths: IngestPaths,
  options: StreamOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { reuse = false, signal } = options;
  signal?.throwIfAborted();
  const trail = await Trail.start(host.layout, ref, paths);
  const shared = reuse ? Buffer.allocUnsafeSlow(chunkSize) : undefined;
  try {
    let position = 0;
    for (;;) {
      host.mustBeOpen();
      signal?.throwIfAborted();
      const news = host.wakeUps.listen(paths.record);
      try {
        const state = await trail.look();
        if (position < state.size) {
          const chunk = await trail.read(position, state.size, shared);
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
    await trail.close();
  }
}

interface Look {
  /** As many bytes can be read. */
  readonly size: number;
  readonly outcome: "growing" | "committed" | "dropped";
}

/**
 * The data file that the bytes of an ingest are in at the time. It stays the same when the commit moves it to the blobs, and
 * when another writer continues after a dead one. A writer that takes over from a living one continues in another file, which
 * the record names; bytes that are dropped raise the record's generation, or end the ingest.
 */
class Trail {
  readonly #layout: Layout;
  readonly #ref: string;
  readonly #paths: IngestPaths;
  #record: IngestRecord;
  #seen: string;
  #file: FileHandle;

  private constructor(
    layout: Layout,
    paths: IngestPaths,
    start: { record: IngestRecord; seen: string; file: FileHandle },
  ) {
    this.#layout = layout;
    this.#paths = paths;
    this.#ref = start.record.ref;
    this.#record = start.record;
    this.#seen = start.seen;
    this.#file = start.file;
  }

  static async start(layout: Layout, ref: string, paths: IngestPaths): Promise<Trail> {
    for (;;) {
      // Before the record is read, so that a change in between is seen later.
      const seen = markOf(paths);
      const record = readRecord(paths);
      if (record === undefined || record.ref !== ref) throw new CodedError("ERR_NOT_FOUND", `ingest ${ref}: not found`);
      const path = record.state === "done" ? undefined : dataPath(paths, record.data);
      const file = path === undefined ? undefined : await openIfThere(path);
      if (file !== undefined) return new Trail(layout, paths, { record, seen, file });
      // It was committed, or exchanged, just now; or its process died in the last step of its commit.
      if (markOf(paths) === seen) throw new CodedError("ERR_NOT_FOUND", `ingest ${ref}: not found`);
    }
  }

  /**
   * The size first, the record second: bytes that were there before the record named another file are in that file too, and
   * only those are ever read.
   */
  async look(): Promise<Look> {
    const own = fstatSync(this.#file.fd, { bigint: true });
    if (this.#record.state === "done") return this.#ended(own);
    const seen = markOf(this.#paths);
    if (seen !== this.#seen) {
      const record = readRecord(this.#paths);
      if (record?.ingest !== this.#record.ingest) return this.#ended(own);
      if (record.state === "done") return this.#goOnAt(record, this.#blobOf(record));
      if (record.generation !== this.#record.generation) return { size: 0, outcome: "dropped" };
      if (record.data !== this.#record.data) return this.#goOnAt(record, dataPath(this.#paths, record.data));
      this.#seen = seen;
    }
    return { size: Number(own.size), outcome: "growing" };
  }

  async read(position: number, size: number, shared: Buffer | undefined): Promise<Uint8Array> {
    const wanted = Math.min(chunkSize, size - position);
    const buffer = shared ?? Buffer.allocUnsafeSlow(wanted);
    try {
      const { bytesRead } = await this.#file.read(buffer, 0, wanted, position);
      return buffer.subarray(0, bytesRead);
    } catch (error) {
      throw withSubject(error, `ingest ${this.#ref}`);
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** Bytes that are verified have lost the write permission before the ingest ends. */
  #ended(own: BigIntStats): Look {
    return { size: Number(own.size), outcome: (own.mode & 0o222n) === 0n ? "committed" : "dropped" };
  }

  #blobOf({ digest }: IngestRecord): string | undefined {
    return digest === undefined ? undefined : blobPath(this.#layout, digest);
  }

  async #goOnAt(record: IngestRecord, path: string | undefined): Promise<Look> {
    const next = path === undefined ? undefined : await openIfThere(path);
    if (next === undefined) {
      // It has gone a step further since the record was read. If not, its bytes are lost.
      return { size: 0, outcome: readRecord(this.#paths)?.token === record.token ? "dropped" : "growing" };
    }
    await this.#file.close();
    this.#file = next;
    this.#record = record;
    return this.look();
  }
}

/** Changes whenever the record does. */
function markOf({ record }: IngestPaths): string {
  const found = statSync(record, { bigint: true, throwIfNoEntry: false });
  return found === undefined ? "" : `${found.ino} ${found.ctimeNs} ${found.size}`;
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await retryOpen(() => open(path, constants.O_RDONLY));
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}
