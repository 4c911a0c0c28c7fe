import { blobFilter, ingestFilter } from "@varve/content";
import type {
  BlobInfo,
  BlobReader,
  CallOptions,
  ContentStore,
  Follower,
  IngestStatus,
  LabelChanges,
  Labeler,
  LabelOptions,
  QuarantinedBlob,
  Quarantiner,
  WalkOptions,
  Writer,
  WriterOptions,
} from "@varve/content";
import { digestAlgorithm, parseDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { Descriptor } from "@varve/oci";
import { changeLabels } from "./blob-labels.ts";
import { MemoryIngest } from "./memory-ingest.ts";
import type { Hold } from "./memory-ingest.ts";
import { MemoryReader } from "./memory-reader.ts";
import { MemoryWriter } from "./memory-writer.ts";
import { Quarantine } from "./quarantine.ts";

export interface MemoryContentStoreOptions {
  /**
   * Milliseconds. Who wants a ref whose writer has done nothing for so long takes it over and goes on with its bytes; the
   * old writer's next call fails with ERR_ABORTED. A commit under way is never disturbed. Default: 60,000; Infinity: never.
   */
  readonly stallMs?: number | undefined;
}

interface Blob {
  readonly info: BlobInfo;
  readonly bytes: Uint8Array;
}

/**
 * Makes a content store that keeps everything in memory: for tests, and for images that are made and used within one
 * process. It ends with the process, and there is no limit on what it takes.
 *
 * @throws ERR_INVALID_ARGUMENT `stallMs` is not above 0
 */
export function createMemoryContentStore(
  options: MemoryContentStoreOptions = {},
): ContentStore & Follower & Labeler & Quarantiner {
  const { stallMs = 60_000 } = options;
  if (!(stallMs > 0)) throw new CodedError("ERR_INVALID_ARGUMENT", `content store: stallMs ${stallMs} is not above 0`);
  return new MemoryContentStore(stallMs);
}

class MemoryContentStore implements ContentStore, Follower, Labeler, Quarantiner {
  readonly #stallMs: number;
  readonly #blobs: Map<string, Blob> = new Map();
  readonly #ingests: Map<string, MemoryIngest> = new Map();
  readonly #writers: Set<MemoryWriter> = new Set();
  readonly #readers: Set<MemoryReader> = new Set();
  readonly #quarantine: Quarantine = new Quarantine();
  #closed = false;

  constructor(stallMs: number) {
    this.#stallMs = stallMs;
  }

  async open(descriptor: Descriptor, options: CallOptions = {}): Promise<BlobReader> {
    this.#begin(options);
    const { bytes } = this.#blob(descriptor.digest);
    const reader = new MemoryReader(descriptor.digest, bytes, (closed) => this.#readers.delete(closed));
    this.#readers.add(reader);
    return reader;
  }

  async writer(ref: string, options: WriterOptions = {}): Promise<Writer> {
    this.#begin(options);
    const { expected = {} } = options;
    if (ref === "") throw new CodedError("ERR_INVALID_ARGUMENT", "ingest: the ref is empty");
    const algorithm = expected.digest === undefined ? "sha256" : digestAlgorithm(parseDigest(expected.digest));
    if (expected.digest !== undefined && this.#blobs.has(expected.digest)) {
      throw new CodedError("ERR_ALREADY_EXISTS", `content ${expected.digest}: already exists`);
    }
    const { ingest, hold } = this.#claim(ref, expected.size);
    ingest.total = expected.size ?? ingest.total;
    ingest.expected = expected.digest ?? ingest.expected;
    await ingest.useAlgorithm(algorithm);
    const writer = new MemoryWriter(this, ingest, hold, expected);
    this.#writers.add(writer);
    return writer;
  }

  async status(ref: string, options: CallOptions = {}): Promise<IngestStatus> {
    this.#begin(options);
    return this.#ingest(ref).status();
  }

  async *statuses(options: WalkOptions = {}): AsyncGenerator<IngestStatus, void, undefined> {
    this.#begin(options);
    const passes = ingestFilter(options.filters);
    const ingests = Array.from(this.#ingests.values());
    for (const ingest of ingests) {
      this.#begin(options);
      const status = ingest.status();
      if (this.has(ingest) && passes(status)) yield status;
    }
  }

  async abort(ref: string, options: CallOptions = {}): Promise<void> {
    this.#begin(options);
    const ingest = this.#ingest(ref);
    this.#ingests.delete(ref);
    ingest.end("dropped");
  }

  async info(digest: Digest, options: CallOptions = {}): Promise<BlobInfo> {
    this.#begin(options);
    return this.#blob(digest).info;
  }

  async *walk(options: WalkOptions = {}): AsyncGenerator<BlobInfo, void, undefined> {
    this.#begin(options);
    const passes = blobFilter(options.filters);
    const blobs = Array.from(this.#blobs.values());
    for (const { info } of blobs) {
      this.#begin(options);
      if (passes(info)) yield info;
    }
  }

  async delete(digest: Digest, options: CallOptions = {}): Promise<void> {
    this.#begin(options);
    this.#blob(digest);
    this.#blobs.delete(digest);
  }

  async label(digest: Digest, changes: LabelChanges, options: LabelOptions = {}): Promise<BlobInfo> {
    this.#begin(options);
    const { info, bytes } = this.#blob(digest);
    const labels = changeLabels(digest, options.replace === true ? {} : info.labels, changes);
    const changed = { ...info, labels, updatedAt: new Date() };
    this.#blobs.set(digest, { info: changed, bytes });
    return changed;
  }

  async quarantine(digest: Digest, options: CallOptions = {}): Promise<QuarantinedBlob> {
    this.#begin(options);
    const { bytes } = this.#blob(digest);
    this.#blobs.delete(digest);
    return this.#quarantine.add(digest, bytes);
  }

  async *quarantined(options: CallOptions = {}): AsyncGenerator<QuarantinedBlob, void, undefined> {
    this.#begin(options);
    for (const entry of this.#quarantine.entries()) {
      this.#begin(options);
      yield entry;
    }
  }

  async discard(id: string, options: CallOptions = {}): Promise<void> {
    this.#begin(options);
    this.#quarantine.discard(id);
  }

  async *follow(ref: string, options: CallOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    this.#begin(options);
    yield* this.#ingest(ref).follow(options.signal, () => this.#mustBeOpen());
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const writer of this.#writers) await writer.close();
    for (const reader of this.#readers) await reader.close();
    for (const ingest of this.#ingests.values()) ingest.wake();
    this.#ingests.clear();
    this.#blobs.clear();
    this.#quarantine.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @internal */
  has(ingest: MemoryIngest): boolean {
    return this.#ingests.get(ingest.ref) === ingest;
  }

  /** @internal */
  publish(ingest: MemoryIngest, digest: Digest, labels: Readonly<Record<string, string>>): boolean {
    const checked = changeLabels(digest, {}, labels);
    this.#ingests.delete(ingest.ref);
    ingest.end("committed");
    if (this.#blobs.has(digest)) return false;
    const now = new Date();
    const info: BlobInfo = { digest, size: ingest.size, createdAt: now, updatedAt: now, labels: checked };
    this.#blobs.set(digest, { info, bytes: new Uint8Array(Buffer.concat(ingest.tape.chunks)) });
    return true;
  }

  /** @internal */
  finished(writer: MemoryWriter): void {
    this.#writers.delete(writer);
  }

  #claim(ref: string, size: number | undefined): { readonly ingest: MemoryIngest; readonly hold: Hold } {
    const old = this.#ingests.get(ref);
    if (old?.hold !== undefined && !this.#isStalled(old.hold)) {
      const since = old.hold.since.toISOString();
      throw new CodedError("ERR_UNAVAILABLE", `ingest ${ref}: held by another writer since ${since}`);
    }
    const fits = old !== undefined && (size === undefined || ((old.total ?? size) === size && old.size <= size));
    // Another size means other content under the old name (U-LCS.8).
    if (!fits) old?.end("dropped");
    const ingest = fits ? old : new MemoryIngest(ref);
    const hold: Hold = { since: new Date(), progressAt: performance.now(), commits: false };
    ingest.hold = hold;
    this.#ingests.set(ref, ingest);
    return { ingest, hold };
  }

  #isStalled(hold: Hold): boolean {
    return !hold.commits && performance.now() - hold.progressAt >= this.#stallMs;
  }

  #begin(options: CallOptions): void {
    this.#mustBeOpen();
    options.signal?.throwIfAborted();
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new CodedError("ERR_FAILED_PRECONDITION", "content store in memory: closed");
  }

  #blob(digest: Digest): Blob {
    const blob = this.#blobs.get(parseDigest(digest));
    if (blob === undefined) throw notFound(digest);
    return blob;
  }

  #ingest(ref: string): MemoryIngest {
    const ingest = this.#ingests.get(ref);
    if (ingest === undefined) throw new CodedError("ERR_NOT_FOUND", `ingest ${ref}: not found`);
    return ingest;
  }
}

function notFound(digest: Digest): CodedError {
  return new CodedError("ERR_NOT_FOUND", `content ${digest}: not found`);
}
