import { constants } from "node:fs";
import { open } from "node:fs/promises";
import type { BlobReader, ByteRange, CallOptions, StreamOptions } from "@varve/content";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { isErrno, withSubject } from "./errno.ts";
import { OpenFile } from "./open-file.ts";
import { retryOpen } from "./open-retry.ts";

const chunkSize = 256 * 1024;
// What took the place of a blob is not followed if it is a link, nor waited for if it is a pipe. Windows knows neither.
const openFlags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

export async function openBlob(
  digest: Digest,
  path: string,
  onClose: (reader: FsBlobReader) => void,
): Promise<FsBlobReader> {
  const closed = (): Error => new CodedError("ERR_FAILED_PRECONDITION", `content ${digest}: the reader is closed`);
  try {
    const file = await retryOpen(() => open(path, openFlags));
    try {
      const found = await file.stat();
      if (!found.isFile())
        throw new CodedError("ERR_NOT_FOUND", `content ${digest}: not found: what is there is no file`);
      return new FsBlobReader(digest, found.size, new OpenFile(file, closed), onClose);
    } catch (error) {
      await file.close();
      throw error;
    }
  } catch (error) {
    // ELOOP: a link. ENXIO: a socket.
    if (!isErrno(error, "ENOENT", "ELOOP", "ENXIO")) throw withSubject(error, `content ${digest}`);
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
    this.#mustBeOffset(position);
    const wanted = Math.max(0, Math.min(target.byteLength, this.size - position));
    const got = await this.#read(target.subarray(0, wanted), position);
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
    const { reuse = false, signal, start = 0, end = this.size } = range;
    this.#mustBeOffset(start);
    this.#mustBeOffset(end);
    const shared = reuse ? Buffer.allocUnsafeSlow(chunkSize) : undefined;
    const last = Math.min(end, this.size);
    for (let position = start; position < last;) {
      const size = Math.min(chunkSize, last - position);
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

  async #read(target: Uint8Array, position: number): Promise<number> {
    try {
      return await this.#file.read(target, position);
    } catch (error) {
      throw withSubject(error, `content ${this.#digest}`);
    }
  }

  #mustBeOffset(position: number): void {
    if (Number.isSafeInteger(position) && position >= 0) return;
    throw new CodedError("ERR_INVALID_ARGUMENT", `content ${this.#digest}: position ${position} is no offset`);
  }
}
