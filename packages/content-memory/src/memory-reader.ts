import type { BlobReader, ByteRange, CallOptions } from "@varve/content";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";

const chunkSize = 256 * 1024;

export class MemoryReader implements BlobReader {
  readonly size: number;
  readonly #digest: Digest;
  readonly #bytes: Uint8Array;
  readonly #onClose: (reader: MemoryReader) => void;
  #closed = false;

  constructor(digest: Digest, bytes: Uint8Array, onClose: (reader: MemoryReader) => void) {
    this.size = bytes.byteLength;
    this.#digest = digest;
    this.#bytes = bytes;
    this.#onClose = onClose;
  }

  async read(target: Uint8Array, position: number, options: CallOptions = {}): Promise<number> {
    this.#mustBeOpen();
    options.signal?.throwIfAborted();
    if (!Number.isSafeInteger(position) || position < 0) {
      throw new CodedError("ERR_INVALID_ARGUMENT", `content ${this.#digest}: position ${position} is no offset`);
    }
    const part = this.#bytes.subarray(position, position + target.byteLength);
    target.set(part);
    return part.byteLength;
  }

  async *stream(range: ByteRange & CallOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    const { start = 0, signal } = range;
    const end = Math.min(range.end ?? this.size, this.size);
    for (let position = start; position < end;) {
      const chunk = new Uint8Array(Math.min(chunkSize, end - position));
      await this.read(chunk, position, { signal });
      position += chunk.byteLength;
      yield chunk;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#onClose(this);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new CodedError("ERR_FAILED_PRECONDITION", `content ${this.#digest}: the reader is closed`);
  }
}
