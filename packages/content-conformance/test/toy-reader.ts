import type { BlobReader, ByteRange, CallOptions, StreamOptions } from "@varve/content";
import { CodedError } from "@varve/errors";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Flaw } from "./flaws.ts";
import type { Blob } from "./toy-place.ts";

export interface ReaderHost {
  readonly flaw: Flaw | undefined;
  begin(options?: CallOptions): void;
}

export class ToyReader implements BlobReader {
  readonly size: number;
  readonly #blob: Blob;
  readonly #store: ReaderHost;
  #closed = false;
  #cursor = 0;

  constructor(blob: Blob, store: ReaderHost) {
    this.size = blob.info.size;
    this.#blob = blob;
    this.#store = store;
  }

  async read(target: Uint8Array, position: number, options?: CallOptions): Promise<number> {
    const { flaw } = this.#store;
    this.#store.begin(options);
    if (this.#closed && flaw !== "reads-after-close")
      throw new CodedError("ERR_FAILED_PRECONDITION", "the reader is closed");
    const isOffset = Number.isSafeInteger(position) && position >= 0;
    if (!isOffset && flaw !== "takes-any-position") throw new CodedError("ERR_INVALID_ARGUMENT", "no offset");
    const start = flaw === "reads-from-the-start" ? 0 : position;
    const part = this.#blob.bytes.subarray(start, start + target.byteLength);
    target.set(part);
    return flaw === "reads-past-the-end" ? target.byteLength : part.byteLength;
  }

  async *stream(range: ByteRange & StreamOptions = {}): AsyncGenerator<Uint8Array> {
    const { flaw } = this.#store;
    const { start = 0, end = this.size } = flaw === "ignores-ranges" ? {} : range;
    const step = 100_000;
    const shared = new Uint8Array(step);
    this.#cursor = start;
    const last = (): number =>
      Math.min(end, flaw === "deleting-cuts-readers" ? this.#blob.bytes.byteLength : this.size);
    for (let position = start; position < last(); position += step) {
      const at = flaw === "one-cursor" ? this.#cursor : position;
      const size = Math.min(step, last() - position);
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
