import type {
  BlobInfo,
  BlobReader,
  CallOptions,
  ContentStore,
  Follower,
  IngestStatus,
  LabelChanges,
  Labeler,
  Writer,
  WriterOptions,
} from "@varve/content";
import { digestAlgorithm } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { Descriptor } from "@varve/oci";
import { MemoryIngest } from "./memory-ingest.ts";
import { MemoryReader } from "./memory-reader.ts";
import { MemoryWriter } from "./memory-writer.ts";

/** Key and value together, in bytes (U-MD.2). */
const maxLabelBytes = 4096;

interface Blob {
  readonly info: BlobInfo;
  readonly bytes: Uint8Array;
}

/**
 * Makes a content store that keeps everything in memory: for tests, and for images that are made and used within one
 * process. It ends with the process, and there is no limit on what it takes.
 */
export function createMemoryContentStore(): ContentStore & Follower & Labeler {
  return new MemoryContentStore();
}

class MemoryContentStore implements ContentStore, Follower, Labeler {
  readonly #blobs: Map<string, Blob> = new Map();
  readonly #ingests: Map<string, MemoryIngest> = new Map();
  readonly #writers: Set<MemoryWriter> = new Set();
  readonly #readers: Set<MemoryReader> = new Set();
  #closed = false;

  async open(descriptor: Descriptor, options: CallOptions = {}): Promise<BlobReader> {
    this.#begin(options);
    const reader = new MemoryReader(descriptor.digest, this.#blob(descriptor.digest).bytes);
    this.#readers.add(reader);
    return reader;
  }

  async writer(ref: string, options: WriterOptions = {}): Promise<Writer> {
    this.#begin(options);
    const { expected = {} } = options;
    if (ref === "") throw new CodedError("ERR_INVALID_ARGUMENT", "ingest: the ref is empty");
    if (expected.digest !== undefined && this.#blobs.has(expected.digest)) {
      throw new CodedError("ERR_ALREADY_EXISTS", `content ${expected.digest}: already exists`);
    }
    const ingest = this.#claim(ref, expected.size);
    ingest.total = expected.size ?? ingest.total;
    ingest.expected = expected.digest ?? ingest.expected;
    await ingest.useAlgorithm(expected.digest === undefined ? "sha256" : digestAlgorithm(expected.digest));
    const writer = new MemoryWriter(this, ingest, expected);
    this.#writers.add(writer);
    return writer;
  }

  async status(ref: string, options: CallOptions = {}): Promise<IngestStatus> {
    this.#begin(options);
    return this.#ingest(ref).status();
  }

  async *statuses(options: CallOptions = {}): AsyncGenerator<IngestStatus, void, undefined> {
    this.#begin(options);
    const ingests = Array.from(this.#ingests.values());
    for (const ingest of ingests) {
      this.#begin(options);
      yield ingest.status();
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

  async *walk(options: CallOptions = {}): AsyncGenerator<BlobInfo, void, undefined> {
    this.#begin(options);
    const blobs = Array.from(this.#blobs.values());
    for (const { info } of blobs) {
      this.#begin(options);
      yield info;
    }
  }

  async delete(digest: Digest, options: CallOptions = {}): Promise<void> {
    this.#begin(options);
    if (!this.#blobs.delete(digest)) throw notFound(digest);
  }

  async label(digest: Digest, changes: LabelChanges, options: CallOptions = {}): Promise<BlobInfo> {
    this.#begin(options);
    const { info, bytes } = this.#blob(digest);
    checkLabels(digest, changes);
    const labels = new Map(Object.entries(info.labels));
    for (const [key, value] of Object.entries(changes)) {
      if (value === undefined) labels.delete(key);
      else labels.set(key, value);
    }
    const changed = { ...info, labels: Object.fromEntries(labels), updatedAt: new Date() };
    this.#blobs.set(digest, { info: changed, bytes });
    return changed;
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
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @internal */
  holds(ingest: MemoryIngest): boolean {
    return this.#ingests.get(ingest.ref) === ingest;
  }

  /** @internal */
  publish(ingest: MemoryIngest, digest: Digest, labels: Readonly<Record<string, string>>): boolean {
    checkLabels(digest, labels);
    this.#ingests.delete(ingest.ref);
    ingest.end("committed");
    if (this.#blobs.has(digest)) return false;
    const now = new Date();
    const info: BlobInfo = { digest, size: ingest.size, createdAt: now, updatedAt: now, labels: { ...labels } };
    this.#blobs.set(digest, { info, bytes: new Uint8Array(Buffer.concat(ingest.tape.chunks)) });
    return true;
  }

  /** @internal */
  finished(writer: MemoryWriter): void {
    this.#writers.delete(writer);
  }

  #claim(ref: string, size: number | undefined): MemoryIngest {
    const old = this.#ingests.get(ref);
    if (old?.heldSince !== undefined) {
      throw new CodedError(
        "ERR_UNAVAILABLE",
        `ingest ${ref}: held by another writer since ${old.heldSince.toISOString()}`,
      );
    }
    const fits = old !== undefined && (size === undefined || ((old.total ?? size) === size && old.size <= size));
    // Another size means other content under the old name (U-LCS.8).
    if (!fits) old?.end("dropped");
    const ingest = fits ? old : new MemoryIngest(ref);
    ingest.heldSince = new Date();
    this.#ingests.set(ref, ingest);
    return ingest;
  }

  #begin(options: CallOptions): void {
    this.#mustBeOpen();
    options.signal?.throwIfAborted();
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new CodedError("ERR_FAILED_PRECONDITION", "content store in memory: closed");
  }

  #blob(digest: Digest): Blob {
    const blob = this.#blobs.get(digest);
    if (blob === undefined) throw notFound(digest);
    return blob;
  }

  #ingest(ref: string): MemoryIngest {
    const ingest = this.#ingests.get(ref);
    if (ingest === undefined) throw new CodedError("ERR_NOT_FOUND", `ingest ${ref}: not found`);
    return ingest;
  }
}

function checkLabels(digest: Digest, labels: LabelChanges): void {
  for (const [key, value = ""] of Object.entries(labels)) {
    const bytes = Buffer.byteLength(key) + Buffer.byteLength(value);
    if (key === "" || bytes > maxLabelBytes) {
      const why = key === "" ? "a label without a name" : `label ${key.slice(0, 64)}: ${bytes} bytes`;
      throw new CodedError("ERR_INVALID_ARGUMENT", `content ${digest}: ${why}, the limit is ${maxLabelBytes} bytes`);
    }
  }
}

function notFound(digest: Digest): CodedError {
  return new CodedError("ERR_NOT_FOUND", `content ${digest}: not found`);
}
