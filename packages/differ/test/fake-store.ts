import type {
  BlobInfo,
  BlobReader,
  Ingester,
  IngestManager,
  IngestStatus,
  Labeler,
  Provider,
  Writer,
} from "@varve/content";
import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";

export interface StoredBlob {
  readonly bytes: Buffer;
  labels: Record<string, string | undefined>;
}

/** As much of a content store as a differ needs: backends may not use one another, in tests neither. */
export class FakeStore implements Ingester, IngestManager, Labeler, Provider {
  readonly blobs: Map<string, StoredBlob> = new Map();
  readonly ingests: Map<string, Buffer[]> = new Map();
  /** Called before each write, with the bytes that came before it. */
  onWrite: (written: number) => Promise<void> | void = () => undefined;
  onCommit: () => Promise<void> | void = () => undefined;

  clear(): void {
    this.blobs.clear();
    this.ingests.clear();
    this.onWrite = this.onCommit = (): void => undefined;
  }

  async writer(ref: string): Promise<Writer> {
    const chunks = this.ingests.get(ref) ?? [];
    this.ingests.set(ref, chunks);
    const bytes = (): Buffer => Buffer.concat(chunks);
    const status = (): IngestStatus => {
      const offset = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
      return { ref, offset, startedAt: new Date(), updatedAt: new Date() };
    };
    return {
      status,
      digest: async () => digestOf(bytes()),
      write: async (chunk, { signal } = {}) => {
        await this.onWrite(status().offset);
        signal?.throwIfAborted();
        // As a store does, the chunk is copied: it is memory that is used again.
        chunks.push(Buffer.from(chunk));
      },
      truncate: async () => void chunks.splice(0),
      commit: async (expected = {}, { labels = {}, signal } = {}) => {
        await this.onCommit();
        signal?.throwIfAborted();
        const whole = bytes();
        const digest = digestOf(whole);
        if (expected.digest !== digest || expected.size !== whole.length) throw new Error("not what was written");
        this.ingests.delete(ref);
        if (this.blobs.has(digest)) throw new CodedError("ERR_ALREADY_EXISTS", `content ${digest}: already exists`);
        this.blobs.set(digest, { bytes: whole, labels });
        return digest;
      },
      close: async () => undefined,
      [Symbol.asyncDispose]: async () => undefined,
    };
  }

  async abort(ref: string): Promise<void> {
    this.ingests.delete(ref);
  }

  async status(ref: string): Promise<IngestStatus> {
    throw new CodedError("ERR_NOT_FOUND", `ingest ${ref}: not found`);
  }

  // oxlint-disable-next-line require-yield
  async *statuses(): AsyncGenerator<IngestStatus, void, undefined> {
    throw new Error("not asked for");
  }

  async label(digest: Digest, changes: Readonly<Record<string, string | undefined>>): Promise<BlobInfo> {
    const blob = this.blob(digest);
    Object.assign(blob.labels, changes);
    return { digest, size: blob.bytes.length, createdAt: new Date(), updatedAt: new Date(), labels: {} };
  }

  async open({ digest }: { readonly digest: Digest }): Promise<BlobReader> {
    const { bytes } = this.blob(digest);
    return {
      size: bytes.length,
      read: async () => 0,
      stream: async function* () {
        yield bytes;
      },
      close: async () => undefined,
      [Symbol.asyncDispose]: async () => undefined,
    };
  }

  blob(digest: string): StoredBlob {
    const blob = this.blobs.get(digest);
    if (blob === undefined) throw new CodedError("ERR_NOT_FOUND", `content ${digest}: not found`);
    return blob;
  }
}
