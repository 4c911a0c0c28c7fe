import type { CallOptions, CommitOptions, Expected, IngestStatus, Writer } from "@varve/content";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { Hold, MemoryIngest } from "./memory-ingest.ts";

export interface WriterHost {
  /** Whether the ingest is still the one of its ref. */
  has(ingest: MemoryIngest): boolean;
  /** Makes the blob visible; false if it is there already. Ends the ingest in any case. */
  publish(ingest: MemoryIngest, digest: Digest, labels: Readonly<Record<string, string>>): boolean;
  finished(writer: MemoryWriter): void;
}

export class MemoryWriter implements Writer {
  readonly #host: WriterHost;
  readonly #ingest: MemoryIngest;
  readonly #hold: Hold;
  readonly #expected: Expected;
  #closed = false;

  constructor(host: WriterHost, ingest: MemoryIngest, hold: Hold, expected: Expected) {
    this.#host = host;
    this.#ingest = ingest;
    this.#hold = hold;
    this.#expected = expected;
  }

  status(): IngestStatus {
    return this.#ingest.status();
  }

  async digest(): Promise<Digest> {
    return this.#ingest.digest();
  }

  async write(chunk: Uint8Array, options: CallOptions = {}): Promise<void> {
    this.#mustBeOpen();
    options.signal?.throwIfAborted();
    this.#hold.progressAt = performance.now();
    this.#ingest.append(chunk);
  }

  async truncate(): Promise<void> {
    this.#mustBeOpen();
    this.#hold.progressAt = performance.now();
    this.#ingest.truncate();
  }

  async commit(expected: Expected = {}, options: CommitOptions = {}): Promise<Digest> {
    try {
      this.#mustBeOpen();
      options.signal?.throwIfAborted();
      this.#hold.commits = true;
      const wanted: Expected = {
        digest: expected.digest ?? this.#expected.digest,
        size: expected.size ?? this.#expected.size,
      };
      const digest = await this.#verify(wanted);
      this.#mustBeOpen();
      if (!this.#host.publish(this.#ingest, digest, options.labels ?? {})) {
        throw new CodedError("ERR_ALREADY_EXISTS", `content ${digest}: already exists`);
      }
      return digest;
    } finally {
      await this.close();
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#ingest.hold === this.#hold) this.#ingest.hold = undefined;
    this.#host.finished(this);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #verify(expected: Expected): Promise<Digest> {
    const { ref, size } = this.#ingest;
    if (expected.size !== undefined && size !== expected.size) {
      throw new CodedError("ERR_DIGEST_MISMATCH", `ingest ${ref}: ${size} bytes, expected ${expected.size}`);
    }
    const actual = await this.#ingest.digestAs(expected.digest);
    if (expected.digest !== undefined && actual !== expected.digest) {
      throw new CodedError("ERR_DIGEST_MISMATCH", `ingest ${ref}: digest ${actual}, expected ${expected.digest}`);
    }
    return actual;
  }

  #mustBeOpen(): void {
    const { ref } = this.#ingest;
    if (this.#closed) throw new CodedError("ERR_FAILED_PRECONDITION", `ingest ${ref}: the writer is closed`);
    if (!this.#host.has(this.#ingest)) throw new CodedError("ERR_ABORTED", `ingest ${ref}: aborted`);
    if (this.#ingest.hold !== this.#hold) {
      throw new CodedError("ERR_ABORTED", `ingest ${ref}: taken over by another writer after a time without progress`);
    }
  }
}
