import { createDigester } from "@varve/digest";
import type { Digest, Digester } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { Expected, Ingester, IngestStatus, Writer, WriterOptions } from "./ingester.ts";

/**
 * Takes one blob in and hands its chunks to a reader, one at a time: nothing is stored, and whoever writes waits for whoever
 * reads. The stream ends when `end` says that the work behind it is done.
 */
export interface BlobPipe extends Ingester {
  /** Whether the reader went before the end, while nothing was wrong on the other side. */
  readonly isLeft: boolean;
  /** To be called once. Chunks are valid until the next one is asked for. */
  stream(): AsyncGenerator<Uint8Array, void, undefined>;
  /** Nothing more will come. */
  end(): void;
  /** Both sides get this instead of what is missing. */
  fail(reason: unknown): void;
  /** Nothing more will be read: whoever still writes gets ERR_ABORTED and does not wait. */
  leave(): void;
}

/**
 * Makes a pipe for one blob. Its writer cannot begin again once something was handed on (ERR_NOT_IMPLEMENTED).
 *
 * @param subject what errors begin with
 * @param advice what that error says can be done instead; default: that it must be stored
 */
export function createBlobPipe(subject: string, advice: string = "it must be stored first"): BlobPipe {
  return new ChunkPipe(subject, advice);
}

class ChunkPipe implements BlobPipe {
  readonly #subject: string;
  readonly #advice: string;
  /** Offered, and not taken yet. */
  #chunk: Uint8Array | undefined;
  #failure: { readonly reason: unknown } | undefined;
  #isEnded = false;
  #isLeft = false;
  #changed: PromiseWithResolvers<void> = Promise.withResolvers();

  constructor(subject: string, advice: string) {
    this.#subject = subject;
    this.#advice = advice;
  }

  get isLeft(): boolean {
    return this.#isLeft;
  }

  async writer(ref: string, options: WriterOptions = {}): Promise<Writer> {
    options.signal?.throwIfAborted();
    const messages = { subject: this.#subject, advice: this.#advice };
    return new PipeWriter(ref, messages, (chunk) => this.#put(chunk));
  }

  async *stream(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for (;;) {
        if (this.#failure !== undefined) throw this.#failure.reason;
        if (this.#chunk !== undefined) {
          yield this.#chunk;
          this.#chunk = undefined;
          this.#wake();
        } else if (this.#isEnded) return;
        else await this.#changed.promise;
      }
    } finally {
      this.leave();
    }
  }

  end(): void {
    this.#isEnded = true;
    this.#wake();
  }

  fail(reason: unknown): void {
    if (!this.#isEnded && !this.#isLeft) this.#failure ??= { reason };
    this.#wake();
  }

  leave(): void {
    if (!this.#isEnded && this.#failure === undefined) this.#isLeft = true;
    this.#wake();
  }

  async #put(chunk: Uint8Array): Promise<void> {
    this.#mustGoOn();
    this.#chunk = chunk;
    this.#wake();
    while (this.#chunk === chunk) {
      await this.#changed.promise;
      this.#mustGoOn();
    }
  }

  #mustGoOn(): void {
    if (this.#failure !== undefined) throw this.#failure.reason;
    if (this.#isLeft) throw new CodedError("ERR_ABORTED", `${this.#subject}: was not read to its end`);
  }

  #wake(): void {
    const { resolve } = this.#changed;
    this.#changed = Promise.withResolvers();
    resolve();
  }
}

class PipeWriter implements Writer {
  readonly #digester: Digester = createDigester();
  readonly #put: (chunk: Uint8Array) => Promise<void>;
  readonly #ref: string;
  readonly #startedAt: Date = new Date();
  readonly #subject: string;
  readonly #advice: string;

  constructor(
    ref: string,
    { subject, advice }: { readonly subject: string; readonly advice: string },
    put: (chunk: Uint8Array) => Promise<void>,
  ) {
    this.#ref = ref;
    this.#subject = subject;
    this.#advice = advice;
    this.#put = put;
  }

  status(): IngestStatus {
    return { ref: this.#ref, offset: this.#digester.size, startedAt: this.#startedAt, updatedAt: new Date() };
  }

  async digest(): Promise<Digest> {
    return this.#digester.digest();
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (chunk.length === 0) return;
    this.#digester.update(chunk);
    await this.#put(chunk);
  }

  async truncate(): Promise<void> {
    if (this.#digester.size === 0) return;
    // Whoever begins again found on the way that an overlay's upper directory does not tell all.
    const why = `some of it was handed on when it had to be begun again, so ${this.#advice}`;
    throw new CodedError("ERR_NOT_IMPLEMENTED", `${this.#subject}: ${why}`);
  }

  async commit(expected: Expected = {}): Promise<Digest> {
    const digest = this.#digester.digest();
    const { size } = this.#digester;
    if ((expected.digest ?? digest) === digest && (expected.size ?? size) === size) return digest;
    const why = `${size} bytes are not what was expected`;
    throw new CodedError("ERR_DIGEST_MISMATCH", `${this.#subject} ${digest}: ${why}`);
  }

  async close(): Promise<void> {
    // It holds nothing.
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
