import type {
  BlobInfo,
  ContentStore,
  Expected,
  IngestStatus,
  Labeler,
  LabelChanges,
  Writer,
  WriterOptions,
} from "@varve/content";
import { createDigester, digestAlgorithm, digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { Descriptor } from "@varve/oci";

interface Ingest {
  readonly chunks: Uint8Array[];
  aborted: boolean;
}

/** A content store in memory, with its inner state for tests to look at. */
export class FakeStore implements ContentStore, Labeler {
  readonly blobs: Map<Digest, Buffer> = new Map();
  readonly labels: Map<Digest, Record<string, string>> = new Map();
  readonly ingests: Map<string, Ingest> = new Map();
  readonly held: Set<string> = new Set();
  /** Readers that were opened and not closed. */
  openReaders = 0;
  /** Called at the start of each `write`. */
  onWrite: (ref: string) => void | Promise<void> = () => undefined;
  /** How often each blob was opened. */
  readonly opened: Map<Digest, number> = new Map();

  add(mediaType: string, content: Uint8Array | string | object): Descriptor {
    const bytes =
      content instanceof Uint8Array
        ? Buffer.from(content)
        : Buffer.from(typeof content === "string" ? content : JSON.stringify(content));
    const digest = digestOf(bytes);
    this.blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  }

  async open({ digest }: Pick<Descriptor, "digest">): ReturnType<ContentStore["open"]> {
    const blob = this.#blob(digest);
    this.openReaders += 1;
    this.opened.set(digest, (this.opened.get(digest) ?? 0) + 1);
    let open = true;
    const close = async (): Promise<void> => {
      if (open) this.openReaders -= 1;
      open = false;
    };
    return {
      size: blob.length,
      read: async (target, position) => blob.copy(target, 0, position),
      async *stream({ start = 0, end = blob.length, signal } = {}) {
        for (let at = start; at < end; at += 64 * 1024) {
          signal?.throwIfAborted();
          yield Uint8Array.from(blob.subarray(at, Math.min(end, at + 64 * 1024)));
        }
      },
      close,
      [Symbol.asyncDispose]: close,
    };
  }

  /** Everything that was begun and is not over. */
  leftOpen(): string[] {
    const readers = this.openReaders === 0 ? [] : [`${this.openReaders} readers`];
    return [...this.ingests.keys(), ...this.held, ...readers];
  }

  async info(digest: Digest): Promise<BlobInfo> {
    const size = this.#blob(digest).length;
    return { digest, size, createdAt: new Date(0), updatedAt: new Date(0), labels: this.labels.get(digest) ?? {} };
  }

  async *walk(): AsyncGenerator<BlobInfo, void, undefined> {
    for (const digest of this.blobs.keys()) yield this.info(digest);
  }

  async delete(digest: Digest): Promise<void> {
    this.blobs.delete(digest);
  }

  async label(digest: Digest, changes: LabelChanges): Promise<BlobInfo> {
    const entries = Object.entries({ ...(await this.info(digest)).labels, ...changes });
    const kept = entries.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
    this.labels.set(digest, Object.fromEntries(kept));
    return this.info(digest);
  }

  async writer(ref: string, { expected = {}, signal }: WriterOptions = {}): Promise<Writer> {
    signal?.throwIfAborted();
    if (expected.digest !== undefined && this.blobs.has(expected.digest)) {
      throw new CodedError("ERR_ALREADY_EXISTS", `content ${expected.digest}: exists`);
    }
    if (this.held.has(ref)) throw new CodedError("ERR_UNAVAILABLE", `ingest ${ref}: held`);
    this.held.add(ref);
    const ingest = this.ingests.get(ref) ?? { chunks: [], aborted: false };
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

  async close(): Promise<void> {}
  async [Symbol.asyncDispose](): Promise<void> {}

  #blob(digest: Digest): Buffer {
    const blob = this.blobs.get(digest);
    if (blob === undefined) throw new CodedError("ERR_NOT_FOUND", `content ${digest}: not found`);
    return blob;
  }

  #writer(ref: string, ingest: Ingest, opened: Expected): Writer {
    const close = async (): Promise<void> => {
      this.held.delete(ref);
    };
    const digest = (): Digest => {
      const digester = createDigester(opened.digest === undefined ? "sha256" : digestAlgorithm(opened.digest));
      for (const chunk of ingest.chunks) digester.update(chunk);
      return digester.digest();
    };
    return {
      status: () => statusOf(ref, ingest),
      digest: async () => digest(),
      write: async (chunk, { signal } = {}) => {
        signal?.throwIfAborted();
        await this.onWrite(ref);
        if (ingest.aborted) throw new CodedError("ERR_ABORTED", `ingest ${ref}: taken over`);
        ingest.chunks.push(Uint8Array.from(chunk));
      },
      truncate: async () => {
        ingest.chunks.length = 0;
      },
      commit: async (expected = {}) => {
        await close();
        const bytes = Buffer.concat(ingest.chunks);
        const [actual, wanted] = [digest(), expected.digest ?? opened.digest];
        const size = expected.size ?? opened.size;
        if ((wanted ?? actual) !== actual || (size ?? bytes.length) !== bytes.length) {
          throw new CodedError("ERR_DIGEST_MISMATCH", `content ${wanted}: the bytes have ${actual}`);
        }
        this.ingests.delete(ref);
        if (this.blobs.has(actual)) throw new CodedError("ERR_ALREADY_EXISTS", `content ${actual}: exists`);
        this.blobs.set(actual, bytes);
        return actual;
      },
      close,
      [Symbol.asyncDispose]: close,
    };
  }
}

function statusOf(ref: string, ingest: Ingest): IngestStatus {
  const offset = ingest.chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  return { ref, offset, startedAt: new Date(0), updatedAt: new Date(0) };
}
