import type { BlobReader, ByteRange, CallOptions, StreamOptions } from "@varve/content";
import { CodedError } from "@varve/errors";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Flaw } from "./flaws.ts";

export interface ReaderHost {
  readonly flaw: Flaw | undefined;
  begin(options?: CallOptions): void;
}

export class ToyReader implements BlobReader {
  readonly size: number;
  readonly #bytes: Uint8Array;
  readonly #store: ReaderHost;
  #closed = false;
  #cursor = 0;

  constructor(bytes: Uint8Array, store: ReaderHost) {
    this.size = bytes.byteLength;
    this.#bytes = bytes;
    this.#store = store;
  }

  async read(target: Uint8Array, position: number, options?: CallOptions): Promise<number> {
    const { flaw } = this.#store;
    this.#store.begin(options);
    if (this.#closed && flaw !== "reads-after-close")
      throw new CodedError("ERR_FAILED_PRECONDITION", "the reader is closed");
    const start = flaw === "reads-from-the-start" ? 0 : position;
    const part = this.#bytes.subarray(start, start + target.byteLength);
    target.set(part);
    return flaw === "reads-past-the-end" ? target.byteLength : part.byteLength;
  }

  async *stream(range: ByteRange & StreamOptions = {}): AsyncGenerator<Uint8Array> {
    const { flaw } = this.#store;
    const { start = 0, end = this.size } = flaw === "ignores-ranges" ? {} : range;
    const step = 100_000;
    const shared = new Uint8Array(step);
    this.#cursor = start;
    for (let position = start; position < Math.min(end, this.size); position += step) {
      const at = flaw === "one-cursor" ? this.#cursor : position;
      const size = Math.min(step, Math.min(end, this.size) - position);
      const lends = flaw === "lends-chunks" || (flaw === "reuses-badly" && range.reuse === true);
      const chunk = lends ? shared : new Uint8Array(size);
      await this.read(chunk.subarray(0, size), at, range);
      this.#cursor += size;
      await nextTurn();
      yield flaw === "reuses-badly" ? chunk : chunk.subarray(0, size);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
