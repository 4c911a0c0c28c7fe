import { open } from "node:fs/promises";
import type { BlobReader, ByteRange, CallOptions, StreamOptions } from "@varve/content";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { isErrno } from "./errno.ts";
import { OpenFile } from "./open-file.ts";

const chunkSize = 256 * 1024;

export async function openBlob(
  digest: Digest,
  path: string,
  onClose: (reader: FsBlobReader) => void,
): Promise<FsBlobReader> {
  const closed = (): Error => new CodedError("ERR_FAILED_PRECONDITION", `content ${digest}: the reader is closed`);
  try {
    const file = await open(path, "r");
    try {
      const { size } = await file.stat();
      return new FsBlobReader(digest, size, new OpenFile(file, closed), onClose);
    } catch (error) {
      await file.close();
      throw error;
    }
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
    throw new CodedError("ERR_NOT_FOUND", `content ${digest}: not found`, { cause: error });
  }
}

export class FsBlobReader implements BlobReader {
  readonly size: number;
  readonly #digest: Digest;
  readonly #file: OpenFile;
  readonly #onClose: (reader: FsBlobReader) => void;

  constructor(digest: Digest, size: number, file: OpenFile, onClose: (reader: FsBlobReader) => void) {
    this.#digest = digest;
    this.size = size;
    this.#file = file;
    this.#onClose = onClose;
  }

  async read(target: Uint8Array, position: number, options: CallOptions = {}): Promise<number> {
    options.signal?.throwIfAborted();
    // To the system a negative position means the file's own.
    if (!Number.isSafeInteger(position) || position < 0) {
      throw new CodedError("ERR_INVALID_ARGUMENT", `content ${this.#digest}: position ${position} is no offset`);
    }
    const wanted = Math.max(0, Math.min(target.byteLength, this.size - position));
    const got = await this.#file.read(target.subarray(0, wanted), position);
    options.signal?.throwIfAborted();
    if (got < wanted) {
      throw new CodedError(
        "ERR_DATA_LOSS",
        `content ${this.#digest}: ends at byte ${position + got}, but was ${this.size} bytes long when it was opened`,
      );
    }
    return got;
  }

  async *stream(range: ByteRange & StreamOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    const { reuse = false, signal } = range;
    const shared = reuse ? Buffer.allocUnsafeSlow(chunkSize) : undefined;
    const end = Math.min(range.end ?? this.size, this.size);
    for (let position = range.start ?? 0; position < end;) {
      const size = Math.min(chunkSize, end - position);
      const chunk = shared?.subarray(0, size) ?? Buffer.allocUnsafeSlow(size);
      await this.read(chunk, position, { signal });
      position += chunk.byteLength;
      yield chunk;
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
    this.#onClose(this);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
