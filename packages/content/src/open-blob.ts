import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { useInlineData } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import type { CallOptions } from "./call-options.ts";
import type { BlobReader, ByteRange, Provider, StreamOptions } from "./provider.ts";

/**
 * Opens a blob as `provider.open` does, or the data that the descriptor carries itself if its size and digest are right
 * (U-CS.7): the provider is not asked then.
 *
 * @throws ERR_INVALID_ARGUMENT the digest is malformed
 * @throws ERR_NOT_FOUND no such blob
 */
export async function openBlob(
  provider: Provider,
  descriptor: Descriptor,
  options: CallOptions = {},
): Promise<BlobReader> {
  options.signal?.throwIfAborted();
  const inline = useInlineData(descriptor);
  return inline === undefined ? provider.open(descriptor, options) : new InlineReader(descriptor.digest, inline);
}

class InlineReader implements BlobReader {
  readonly size: number;
  readonly #digest: Digest;
  readonly #bytes: Uint8Array;
  #closed = false;

  constructor(digest: Digest, bytes: Uint8Array) {
    this.size = bytes.byteLength;
    this.#digest = digest;
    this.#bytes = bytes;
  }

  async read(target: Uint8Array, position: number, options: CallOptions = {}): Promise<number> {
    options.signal?.throwIfAborted();
    this.#mustBeOpen();
    this.#mustBeOffset(position);
    const part = this.#bytes.subarray(position, position + target.byteLength);
    target.set(part);
    return part.byteLength;
  }

  async *stream(range: ByteRange & StreamOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    const { start = 0, end = this.size, signal } = range;
    signal?.throwIfAborted();
    this.#mustBeOpen();
    this.#mustBeOffset(start);
    // A chunk belongs to the consumer, and the bytes are still to be read by others.
    if (start < Math.min(end, this.size)) yield this.#bytes.slice(start, end);
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #mustBeOffset(position: number): void {
    if (Number.isSafeInteger(position) && position >= 0) return;
    throw new CodedError("ERR_INVALID_ARGUMENT", `content ${this.#digest}: position ${position} is no offset`);
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new CodedError("ERR_FAILED_PRECONDITION", `content ${this.#digest}: the reader is closed`);
  }
}
