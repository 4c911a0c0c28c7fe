import type {
  BlobInfo,
  BlobReader,
  ContentStore,
  IngestStatus,
  QuarantinedBlob,
  Quarantiner,
  Writer,
  WriterOptions,
} from "@varve/content";
import { digestAlgorithm, digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { Descriptor } from "@varve/oci";

/** Blobs in a map, whose bytes a test may change. */
export class StoredContent implements ContentStore {
  readonly blobs: Map<Digest, Uint8Array> = new Map();
  readonly ingests: Map<string, Uint8Array[]> = new Map();
  /** Blobs that cannot be read, and why. */
  readonly unreadable: Map<Digest, Error> = new Map();
  /** The largest piece that was read at once. */
  largestRead = 0;

  async open({ digest }: Descriptor): Promise<BlobReader> {
    const bytes = this.find(digest);
    return {
      size: bytes.byteLength,
      read: async (target, position) => {
        const failure = this.unreadable.get(digest);
        if (failure !== undefined) throw failure;
        this.largestRead = Math.max(this.largestRead, target.byteLength);
        const part = bytes.subarray(position, position + target.byteLength);
        target.set(part);
        return part.byteLength;
      },
      stream: () => never("stream"),
      close: async () => {},
      [Symbol.asyncDispose]: async () => {},
    };
  }

  async writer(ref: string, { expected = {} }: WriterOptions = {}): Promise<Writer> {
    const { digest: wanted } = expected;
    if (wanted !== undefined && this.blobs.has(wanted)) throw taken(wanted);
    const chunks = this.ingests.get(ref) ?? [];
    this.ingests.set(ref, chunks);
    const digest = async (): Promise<Digest> =>
      digestOf(Buffer.concat(chunks), wanted === undefined ? "sha256" : digestAlgorithm(wanted));
    return {
      status: () => statusOf(ref, chunks),
      digest,
      write: async (chunk) => void chunks.push(new Uint8Array(chunk)),
      truncate: async () => void chunks.splice(0),
      commit: async () => {
        const written = await digest();
        this.ingests.delete(ref);
        if (this.blobs.has(written)) throw taken(written);
        this.blobs.set(written, new Uint8Array(Buffer.concat(chunks)));
        return written;
      },
      close: async () => {},
      [Symbol.asyncDispose]: async () => {},
    };
  }

  async info(digest: Digest): Promise<BlobInfo> {
    return infoOf(digest, this.find(digest));
  }

  async *walk(): AsyncGenerator<BlobInfo> {
    for (const [digest, bytes] of this.blobs) yield await Promise.resolve(infoOf(digest, bytes));
  }

  async delete(digest: Digest): Promise<void> {
    this.find(digest);
    this.blobs.delete(digest);
  }

  async status(ref: string): Promise<IngestStatus> {
    const chunks = this.ingests.get(ref);
    if (chunks === undefined) throw new CodedError("ERR_NOT_FOUND", `ingest ${ref}: not found`);
    return statusOf(ref, chunks);
  }

  async *statuses(): AsyncGenerator<IngestStatus> {
    for (const [ref, chunks] of this.ingests) yield await Promise.resolve(statusOf(ref, chunks));
  }

  async abort(ref: string): Promise<void> {
    await this.status(ref);
    this.ingests.delete(ref);
  }

  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}

  find(digest: Digest): Uint8Array {
    const bytes = this.blobs.get(digest);
    if (bytes === undefined) throw new CodedError("ERR_NOT_FOUND", `content ${digest}: not found`);
    return bytes;
  }
}

/** The same with a quarantine. */
export class QuarantiningContent extends StoredContent implements Quarantiner {
  readonly taken: QuarantinedBlob[] = [];
  /** Awaited before a blob is taken away. */
  before: (() => Promise<void>) | undefined;

  async quarantine(digest: Digest): Promise<QuarantinedBlob> {
    await this.before?.();
    const size = this.find(digest).byteLength;
    this.blobs.delete(digest);
    const blob = { id: `bad-${this.taken.length}`, digest, size, quarantinedAt: new Date() };
    this.taken.push(blob);
    return blob;
  }

  async *quarantined(): AsyncGenerator<QuarantinedBlob> {
    yield* await Promise.resolve(this.taken);
  }

  discard(): Promise<void> {
    return Promise.reject(new Error("not used"));
  }
}

function infoOf(digest: Digest, { byteLength: size }: Uint8Array): BlobInfo {
  return { digest, size, createdAt: new Date(1000), updatedAt: new Date(1000), labels: {} };
}

function statusOf(ref: string, chunks: readonly Uint8Array[]): IngestStatus {
  const offset = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
  return { ref, offset, startedAt: new Date(1000), updatedAt: new Date() };
}

function taken(digest: Digest): CodedError {
  return new CodedError("ERR_ALREADY_EXISTS", `content ${digest}: already exists`);
}

function never(call: string): never {
  throw new Error(`${call}: not used`);
}
