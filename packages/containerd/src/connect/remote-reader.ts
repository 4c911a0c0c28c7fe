import type { BlobReader, ByteRange, CallOptions, StreamOptions } from "@varve/content";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { Content } from "../gen/containerd/services/content/v1/content_pb.js";
import type { Caller } from "./caller.ts";

/** A blob of containerd's. Each read and each stream is a call of its own; nothing is held in between. */
export class RemoteReader implements BlobReader {
  readonly size: number;
  readonly #caller: Caller;
  readonly #digest: Digest;
  readonly #stop: AbortController = new AbortController();

  constructor(caller: Caller, digest: Digest, size: number) {
    this.#caller = caller;
    this.#digest = digest;
    this.size = size;
  }

  async read(target: Uint8Array, position: number, { signal }: CallOptions = {}): Promise<number> {
    let filled = 0;
    for await (const chunk of this.stream({ start: position, end: position + target.byteLength, signal })) {
      target.set(chunk, filled);
      filled += chunk.byteLength;
    }
    return filled;
  }

  async *stream(range: ByteRange & StreamOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    const { start = 0, end = this.size, signal } = range;
    signal?.throwIfAborted();
    this.#stop.signal.throwIfAborted();
    this.#mustBeOffset(start);
    const last = Math.min(end, this.size);
    if (start >= last) return;
    // Ends the call when nobody wants the rest.
    const left = new AbortController();
    const signals = [left.signal, this.#stop.signal, ...(signal === undefined ? [] : [signal])];
    try {
      yield* this.#read(start, last, AbortSignal.any(signals));
    } finally {
      left.abort();
    }
  }

  async close(): Promise<void> {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort(new CodedError("ERR_FAILED_PRECONDITION", `content ${this.#digest}: the reader is closed`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async *#read(start: number, end: number, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    this.#caller.connection.mustBeOpen();
    const request = { digest: this.#digest, offset: BigInt(start), size: BigInt(end - start) };
    let left = end - start;
    try {
      for await (const { data } of this.#caller.client(Content).read(request, this.#caller.options(signal))) {
        left -= data.byteLength;
        if (left < 0) break;
        // A consumer that closed the reader in between is not to get what has arrived already.
        signal.throwIfAborted();
        yield data;
      }
    } catch (error) {
      throw this.#caller.connection.failure(error, signal);
    }
    if (left !== 0) {
      const text = `content ${this.#digest}: ${end - start - left} bytes between ${start} and ${end}`;
      throw new CodedError("ERR_DATA_LOSS", text);
    }
  }

  #mustBeOffset(position: number): void {
    if (Number.isSafeInteger(position) && position >= 0) return;
    throw new CodedError("ERR_INVALID_ARGUMENT", `content ${this.#digest}: position ${position} is no offset`);
  }
}
