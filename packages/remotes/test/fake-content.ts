import type { BlobInfo, Expected, IngestStatus, Labeler, Manager, Provider, Writer } from "@varve/content";
import type { Ingester, IngestManager } from "@varve/content";
import { createDigester, digestAlgorithm, digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";

interface Ingest {
  bytes: Buffer;
  aborted: boolean;
}

/** A content store in memory with what the handlers need, and its inner state for tests to look at. */
export class FakeContent implements Provider, Ingester, IngestManager, Manager, Labeler {
  readonly blobs: Map<Digest, Buffer> = new Map();
  readonly labels: Map<Digest, Record<string, string>> = new Map();
  readonly ingests: Map<string, Ingest> = new Map();
  readonly locked: Set<string> = new Set();
  /** Writers that were opened and not closed. */
  openWriters = 0;
  /** Called at the start of each `writer`. */
  onWriter: (ref: string) => void = () => undefined;

  /** Called at the start of each `write`. */
  onWrite: (ref: string) => void = () => undefined;

  add(bytes: Uint8Array): Digest {
    const digest = digestOf(bytes);
    this.blobs.set(digest, Buffer.from(bytes));
    return digest;
  }

  leave(ref: string, bytes: Uint8Array): void {
    this.ingests.set(ref, { bytes: Buffer.from(bytes), aborted: false });
  }

  async open(descriptor: { digest: Digest }): ReturnType<Provider["open"]> {
    const blob = this.#blob(descriptor.digest);
    return {
      size: blob.byteLength,
      read: async (target, position) => blob.copy(target, 0, position),
      async *stream() {
        yield blob;
      },
      close: async () => undefined,
      [Symbol.asyncDispose]: async () => undefined,
    };
  }

  async info(digest: Digest): Promise<BlobInfo> {
    const size = this.#blob(digest).byteLength;
    return { digest, size, createdAt: new Date(0), updatedAt: new Date(0), labels: this.labels.get(digest) ?? {} };
  }

  async *walk(): AsyncGenerator<BlobInfo, void, undefined> {
    for (const digest of this.blobs.keys()) yield this.info(digest);
  }

  async delete(digest: Digest): Promise<void> {
    this.blobs.delete(digest);
  }

  async label(digest: Digest, changes: Readonly<Record<string, string | undefined>>): Promise<BlobInfo> {
    const entries = Object.entries({ ...(await this.info(digest)).labels, ...changes });
    const kept = entries.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
    this.labels.set(digest, Object.fromEntries(kept));
    return this.info(digest);
  }

  async writer(ref: string, options: { expected?: Expected | undefined } = {}): Promise<Writer> {
    this.onWriter(ref);
    const expected = options.expected?.digest;
    if (expected !== undefined && this.blobs.has(expected)) {
      throw new CodedError("ERR_ALREADY_EXISTS", `content ${expected}: exists`);
    }
    if (this.locked.has(ref)) throw new CodedError("ERR_UNAVAILABLE", `ingest ${ref}: locked`);
    this.locked.add(ref);
    this.openWriters += 1;
    const ingest = this.ingests.get(ref) ?? { bytes: Buffer.alloc(0), aborted: false };
    this.ingests.set(ref, ingest);
    return this.#writer(ref, ingest, expected);
  }

  async status(ref: string): Promise<IngestStatus> {
    const ingest = this.ingests.get(ref);
    if (ingest === undefined) throw new CodedError("ERR_NOT_FOUND", `ingest ${ref}: not found`);
    return statusOf(ref, ingest);
  }

  async *statuses(): AsyncGenerator<IngestStatus, void, undefined> {
    for (const [ref, ingest] of this.ingests) yield statusOf(ref, ingest);
  }

  async abort(ref: string): Promise<void> {
    const ingest = this.ingests.get(ref);
    if (ingest === undefined) throw new CodedError("ERR_NOT_FOUND", `ingest ${ref}: not found`);
    ingest.aborted = true;
    this.ingests.delete(ref);
  }

  #blob(digest: Digest): Buffer {
    const blob = this.blobs.get(digest);
    if (blob === undefined) throw new CodedError("ERR_NOT_FOUND", `content ${digest}: not found`);
    return blob;
  }

  #writer(ref: string, ingest: Ingest, wanted: Digest | undefined): Writer {
    let closed = false;
    const close = async (): Promise<void> => {
      if (closed) return;
      closed = true;
      this.openWriters -= 1;
      this.locked.delete(ref);
    };
    const mustBeOpen = (): void => {
      if (closed) throw new CodedError("ERR_INTERNAL", `ingest ${ref}: the writer is closed`);
    };
    const algorithm = wanted === undefined ? "sha256" : digestAlgorithm(wanted);
    return {
      status: () => statusOf(ref, ingest),
      digest: async () => createDigester(algorithm).update(ingest.bytes).digest(),
      write: async (chunk, { signal } = {}) => {
        mustBeOpen();
        signal?.throwIfAborted();
        this.onWrite(ref);
        if (ingest.aborted) throw new CodedError("ERR_ABORTED", `ingest ${ref}: taken over`);
        ingest.bytes = Buffer.concat([ingest.bytes, chunk]);
      },
      truncate: async () => {
        mustBeOpen();
        ingest.bytes = Buffer.alloc(0);
      },
      commit: async (expected = {}) => {
        await close();
        const digest = digestOf(ingest.bytes, algorithm);
        if ((expected.digest ?? digest) !== digest || (expected.size ?? ingest.bytes.length) !== ingest.bytes.length) {
          throw new CodedError("ERR_DIGEST_MISMATCH", `content ${expected.digest}: wrong`);
        }
        this.ingests.delete(ref);
        if (this.blobs.has(digest)) throw new CodedError("ERR_ALREADY_EXISTS", `content ${digest}: exists`);
        this.blobs.set(digest, ingest.bytes);
        return digest;
      },
      close,
      [Symbol.asyncDispose]: close,
    };
  }
}

function statusOf(ref: string, ingest: Ingest): IngestStatus {
  return { ref, offset: ingest.bytes.byteLength, startedAt: new Date(0), updatedAt: new Date(0) };
}
