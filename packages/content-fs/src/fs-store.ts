import type { Stats } from "node:fs";
import { opendir, rm, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import type {
  BlobInfo,
  BlobReader,
  CallOptions,
  ContentStore,
  Follower,
  IngestStatus,
  StreamOptions,
  Writer,
  WriterOptions,
} from "@varve/content";
import { isDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError, hasCode } from "@varve/errors";
import type { Descriptor } from "@varve/oci";
import { FsBlobReader, openBlob } from "./blob-reader.ts";
import { claim, moveToTrash, release, removeIngest } from "./claims.ts";
import type { Claim } from "./claims.ts";
import type { Syncer } from "./durability.ts";
import { isErrno } from "./errno.ts";
import { followIngest } from "./follow.ts";
import { FsWriter } from "./fs-writer.ts";
import { readRecord } from "./ingest-record.ts";
import { blobPath, ingestPaths, isIngestName, pathsIn } from "./layout.ts";
import type { IngestPaths, Layout } from "./layout.ts";
import { StoreLock } from "./store-lock.ts";
import { WakeUps } from "./wake-ups.ts";

export class FsContentStore implements ContentStore, Follower {
  readonly layout: Layout;
  readonly lock: StoreLock;
  readonly syncer: Syncer;
  readonly wakeUps: WakeUps = new WakeUps();
  /** By the directory of their ingest; an aborted ingest has none any more. */
  readonly #writers: Map<string, FsWriter> = new Map();
  readonly #unclosed: Set<FsWriter> = new Set();
  readonly #readers: Set<FsBlobReader> = new Set();
  /** Calls that take what `close` has to give back. */
  readonly #taking: Set<Promise<unknown>> = new Set();
  #closed = false;

  constructor(layout: Layout, lock: StoreLock, syncer: Syncer) {
    this.layout = layout;
    this.lock = lock;
    this.syncer = syncer;
  }

  open(descriptor: Descriptor, options: CallOptions = {}): Promise<BlobReader> {
    return this.#take(async () => {
      this.#begin(options);
      const path = blobPath(this.layout, descriptor.digest);
      const reader = await openBlob(descriptor.digest, path, (done) => this.#readers.delete(done));
      this.#readers.add(reader);
      return reader;
    });
  }

  writer(ref: string, options: WriterOptions = {}): Promise<Writer> {
    return this.#take(async () => {
      this.#begin(options);
      const { expected = {}, signal } = options;
      if (ref === "") throw new CodedError("ERR_INVALID_ARGUMENT", "ingest: the ref is empty");
      await this.#mustBeMissing(expected.digest, expected.size);
      const claimed = await this.lock.run(() => claim(this.layout, ref, expected), signal);
      return this.#resume(claimed, options);
    });
  }

  async status(ref: string, options: CallOptions = {}): Promise<IngestStatus> {
    this.#begin(options);
    const status = await this.#statusIn(ingestPaths(this.layout, ref));
    if (status?.ref !== ref) throw ingestNotFound(ref);
    return status;
  }

  async *statuses(options: CallOptions = {}): AsyncGenerator<IngestStatus, void, undefined> {
    this.#begin(options);
    for await (const name of namesIn(this.layout.ingests)) {
      this.#begin(options);
      if (!isIngestName(name)) continue;
      const status = await this.#statusIn(pathsIn(join(this.layout.ingests, name)));
      if (status !== undefined) yield status;
    }
  }

  abort(ref: string, options: CallOptions = {}): Promise<void> {
    return this.#take(async () => {
      this.#begin(options);
      const paths = ingestPaths(this.layout, ref);
      const trash = await this.lock.run(() => {
        if (readRecord(paths) === undefined) throw ingestNotFound(ref);
        return moveToTrash(this.layout, paths);
      }, options.signal);
      this.#writers.get(paths.dir)?.abort();
      this.#writers.delete(paths.dir);
      await rm(trash, { recursive: true, force: true });
      this.wakeUps.wake(paths.dir);
    });
  }

  async info(digest: Digest, options: CallOptions = {}): Promise<BlobInfo> {
    this.#begin(options);
    const found = await statFile(blobPath(this.layout, digest));
    if (found === undefined) throw blobNotFound(digest);
    return infoOf(digest, found);
  }

  async *walk(options: CallOptions = {}): AsyncGenerator<BlobInfo, void, undefined> {
    this.#begin(options);
    for await (const algorithm of namesIn(this.layout.blobs)) {
      const directory = join(this.layout.blobs, algorithm);
      for await (const name of namesIn(directory)) {
        this.#begin(options);
        // Unknown algorithms and other names are not ours (U-LCS.5).
        const digest = `${algorithm}:${name}`;
        if (!isDigest(digest)) continue;
        const found = await statFile(join(directory, name));
        if (found !== undefined) yield infoOf(digest, found);
      }
    }
  }

  async delete(digest: Digest, options: CallOptions = {}): Promise<void> {
    this.#begin(options);
    try {
      await unlink(blobPath(this.layout, digest));
    } catch (error) {
      if (!isErrno(error, "ENOENT")) throw error;
      throw blobNotFound(digest, error);
    }
  }

  follow(ref: string, options: StreamOptions = {}): AsyncIterable<Uint8Array> {
    return followIngest(this, ref, ingestPaths(this.layout, ref), options);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await Promise.allSettled(this.#taking);
    await Promise.all([...this.#unclosed].map((writer) => writer.close()));
    await Promise.all([...this.#readers].map((reader) => reader.close()));
    this.wakeUps.wakeAll();
    this.lock.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @internal */
  changed({ paths }: Claim): void {
    this.wakeUps.wake(paths.dir);
  }

  /** @internal */
  finished(writer: FsWriter): void {
    const { dir } = writer.claim.paths;
    if (this.#writers.get(dir) === writer) this.#writers.delete(dir);
    this.#unclosed.delete(writer);
  }

  /** @internal */
  writesHere(paths: IngestPaths): boolean {
    return this.#writers.has(paths.dir);
  }

  /** @internal */
  mustBeOpen(): void {
    if (this.#closed) throw new CodedError("ERR_FAILED_PRECONDITION", `content store ${this.layout.root}: closed`);
  }

  async #take<T>(call: () => Promise<T>): Promise<T> {
    const taking = call();
    this.#taking.add(taking);
    try {
      return await taking;
    } finally {
      this.#taking.delete(taking);
    }
  }

  async #resume(claimed: Claim, options: WriterOptions): Promise<Writer> {
    const { expected } = options;
    try {
      // Once more: the writer before us may have committed between the first look and our claim.
      await this.#mustBeMissing(expected?.digest, expected?.size);
      const writer = await FsWriter.resume(this, claimed, options);
      this.#writers.set(claimed.paths.dir, writer);
      this.#unclosed.add(writer);
      return writer;
    } catch (error) {
      const stored = hasCode(error, "ERR_ALREADY_EXISTS");
      await this.lock.run(() => (stored ? removeIngest(claimed.paths) : release(claimed)));
      throw error;
    }
  }

  #begin(options: CallOptions): void {
    this.mustBeOpen();
    options.signal?.throwIfAborted();
  }

  /** A stored blob of another size is damaged: it does not count, so that it can be fetched anew. */
  async #mustBeMissing(digest: Digest | undefined, size: number | undefined): Promise<void> {
    if (digest === undefined) return;
    const found = await statFile(blobPath(this.layout, digest));
    if (found === undefined || (size !== undefined && found.size !== size)) return;
    throw new CodedError("ERR_ALREADY_EXISTS", `content ${digest}: already exists`);
  }

  async #statusIn(paths: IngestPaths): Promise<IngestStatus | undefined> {
    const writer = this.#writers.get(paths.dir);
    if (writer !== undefined) return writer.status();
    const record = readRecord(paths);
    const data = await statFile(paths.data);
    if (record === undefined || data === undefined) return undefined;
    return { ...record, offset: data.size, updatedAt: data.mtime };
  }
}

async function* namesIn(directory: string): AsyncGenerator<string, void, undefined> {
  try {
    for await (const entry of await opendir(directory)) yield entry.name;
  } catch (error) {
    if (!isErrno(error, "ENOENT", "ENOTDIR")) throw error;
  }
}

async function statFile(path: string): Promise<Stats | undefined> {
  try {
    const found = await stat(path);
    return found.isFile() ? found : undefined;
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

function infoOf(digest: Digest, found: Stats): BlobInfo {
  return { digest, size: found.size, createdAt: found.mtime, updatedAt: found.mtime, labels: {} };
}

function blobNotFound(digest: Digest, cause?: unknown): CodedError {
  return new CodedError("ERR_NOT_FOUND", `content ${digest}: not found`, { cause });
}

function ingestNotFound(ref: string): CodedError {
  return new CodedError("ERR_NOT_FOUND", `ingest ${ref}: not found`);
}
