import type {
  BlobInfo,
  BlobReader,
  CallOptions,
  ContentStore,
  Expected,
  Follower,
  IngestStatus,
  Writer,
  WriterOptions,
} from "@varve/content";
import { digestAlgorithm, digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { Descriptor } from "@varve/oci";

interface Ingest {
  readonly ref: string;
  bytes: Buffer;
  total: number | undefined;
  expected: Digest | undefined;
  held: boolean;
  state: "growing" | "committed" | "dropped";
  updatedAt: Date;
}

/** A small content store in memory that keeps the contract, and can be told to fail. */
export class FakeContent implements ContentStore, Follower {
  readonly blobs: Map<string, Buffer> = new Map();
  readonly ingests: Map<string, Ingest> = new Map();
  /** The names of the calls that were made. */
  readonly calls: string[] = [];
  /** Called before each call; what it throws, the call throws. */
  before: (call: string, id: string) => void | Promise<void> = () => {};
  closed = 0;

  async writer(ref: string, options: WriterOptions = {}): Promise<Writer> {
    await this.#begin("writer", ref, options);
    const { expected = {} } = options;
    if (expected.digest !== undefined && this.blobs.has(expected.digest)) throw exists(expected.digest);
    const ingest = this.ingests.get(ref) ?? newIngest(ref);
    if (ingest.held) throw new CodedError("ERR_UNAVAILABLE", `ingest ${ref}: held by another writer`);
    Object.assign(ingest, { held: true, total: expected.size ?? ingest.total, expected: expected.digest });
    this.ingests.set(ref, ingest);
    return new FakeWriter(this, ingest, expected);
  }

  async status(ref: string, options: CallOptions = {}): Promise<IngestStatus> {
    await this.#begin("status", ref, options);
    return statusOf(this.#ingest(ref));
  }

  async *statuses(options: CallOptions = {}): AsyncGenerator<IngestStatus> {
    await this.#begin("statuses", "", options);
    for (const ingest of this.ingests.values()) yield statusOf(ingest);
  }

  async abort(ref: string, options: CallOptions = {}): Promise<void> {
    await this.#begin("abort", ref, options);
    this.#ingest(ref).state = "dropped";
    this.ingests.delete(ref);
  }

  async info(digest: Digest, options: CallOptions = {}): Promise<BlobInfo> {
    await this.#begin("info", digest, options);
    return infoOf(digest, this.#blob(digest));
  }

  async *walk(options: CallOptions = {}): AsyncGenerator<BlobInfo> {
    await this.#begin("walk", "", options);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only digests are keys
    for (const [digest, bytes] of this.blobs) yield infoOf(digest as Digest, bytes);
  }

  async delete(digest: Digest, options: CallOptions = {}): Promise<void> {
    await this.#begin("delete", digest, options);
    this.#blob(digest);
    this.blobs.delete(digest);
  }

  async open({ digest }: Descriptor, options: CallOptions = {}): Promise<BlobReader> {
    await this.#begin("open", digest, options);
    const bytes = this.#blob(digest);
    return {
      size: bytes.byteLength,
      read: async (target, position) => bytes.copy(target, 0, position),
      async *stream({ start, end } = {}) {
        yield await Promise.resolve(new Uint8Array(bytes.subarray(start, end)));
      },
      close: async () => {},
      [Symbol.asyncDispose]: async () => {},
    };
  }

  async *follow(ref: string, options: CallOptions = {}): AsyncGenerator<Uint8Array> {
    await this.#begin("follow", ref, options);
    const ingest = this.#ingest(ref);
    for (let position = 0; ;) {
      options.signal?.throwIfAborted();
      if (ingest.state === "dropped") throw new CodedError("ERR_ABORTED", `ingest ${ref}: dropped`);
      if (position < ingest.bytes.byteLength) yield new Uint8Array(ingest.bytes.subarray(position));
      else if (ingest.state === "committed") return;
      position = ingest.bytes.byteLength;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async close(): Promise<void> {
    this.closed += 1;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #begin(call: string, id: string, options: CallOptions): Promise<void> {
    options.signal?.throwIfAborted();
    this.calls.push(call);
    await this.before(call, id);
  }

  #blob(digest: Digest): Buffer {
    const bytes = this.blobs.get(digest);
    if (bytes === undefined) throw new CodedError("ERR_NOT_FOUND", `content ${digest}: not found`);
    return bytes;
  }

  #ingest(ref: string): Ingest {
    const ingest = this.ingests.get(ref);
    if (ingest === undefined) throw new CodedError("ERR_NOT_FOUND", `ingest ${ref}: not found`);
    return ingest;
  }
}

class FakeWriter implements Writer {
  readonly #store: FakeContent;
  readonly #ingest: Ingest;
  readonly #expected: Expected;
  #closed = false;

  constructor(store: FakeContent, ingest: Ingest, expected: Expected) {
    this.#store = store;
    this.#ingest = ingest;
    this.#expected = expected;
  }

  status(): IngestStatus {
    return statusOf(this.#ingest);
  }

  async digest(): Promise<Digest> {
    return this.#digestAs(this.#expected.digest);
  }

  async write(chunk: Uint8Array, options: CallOptions = {}): Promise<void> {
    options.signal?.throwIfAborted();
    this.#mustBeOpen();
    this.#ingest.bytes = Buffer.concat([this.#ingest.bytes, chunk]);
    this.#ingest.updatedAt = new Date();
  }

  async truncate(): Promise<void> {
    this.#mustBeOpen();
    this.#ingest.bytes = Buffer.alloc(0);
  }

  async commit(expected: Expected = {}, options: CallOptions = {}): Promise<Digest> {
    try {
      options.signal?.throwIfAborted();
      this.#mustBeOpen();
      await this.#store.before("commit", this.#ingest.ref);
      const { bytes, ref } = this.#ingest;
      const wanted = expected.digest ?? this.#expected.digest;
      const digest = this.#digestAs(wanted);
      const size = expected.size ?? this.#expected.size ?? bytes.byteLength;
      if ((wanted ?? digest) !== digest || size !== bytes.byteLength) {
        throw new CodedError("ERR_DIGEST_MISMATCH", `ingest ${ref}: not as expected`);
      }
      this.#ingest.state = "committed";
      this.#store.ingests.delete(ref);
      if (this.#store.blobs.has(digest)) throw exists(digest);
      this.#store.blobs.set(digest, bytes);
      return digest;
    } finally {
      await this.close();
    }
  }

  async close(): Promise<void> {
    if (!this.#closed) this.#ingest.held = false;
    this.#closed = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #digestAs(wanted: Digest | undefined): Digest {
    return digestOf(this.#ingest.bytes, wanted && digestAlgorithm(wanted));
  }

  #mustBeOpen(): void {
    const { ref, state } = this.#ingest;
    if (this.#closed) throw new CodedError("ERR_FAILED_PRECONDITION", `ingest ${ref}: the writer is closed`);
    if (state === "dropped") throw new CodedError("ERR_ABORTED", `ingest ${ref}: aborted`);
  }
}

function newIngest(ref: string): Ingest {
  const bytes = Buffer.alloc(0);
  return {
    ref,
    bytes,
    total: undefined,
    expected: undefined,
    held: false,
    state: "growing",
    updatedAt: new Date(2000),
  };
}

function statusOf({ ref, bytes, total, expected, updatedAt }: Ingest): IngestStatus {
  return { ref, offset: bytes.byteLength, total, expected, startedAt: new Date(1000), updatedAt };
}

function infoOf(digest: Digest, bytes: Buffer): BlobInfo {
  const time = new Date(1000);
  return { digest, size: bytes.byteLength, createdAt: time, updatedAt: time, labels: {} };
}

function exists(digest: Digest): CodedError {
  return new CodedError("ERR_ALREADY_EXISTS", `content ${digest}: already exists`);
}
