import { CodedError } from "@varve/errors";
import type { Decoder } from "./decoder.ts";
import { openNativeStream, type NativeStream } from "./native-stream.ts";
import { createZstdFrames } from "./zstd-frames.ts";

/** Decompresses with node:zlib. `maxWindow` concerns zstd only. */
export function createZlibDecoder(
  compression: "gzip" | "zstd",
  allocate: () => Uint8Array,
  maxWindow: number,
): Decoder {
  const stream = openNativeStream(compression, maxWindow);
  return new ZlibDecoder(compression, stream, allocate, compression === "gzip" ? gzipFormat : zstdFormat(maxWindow));
}

/** What a format needs besides the native decompressor. */
interface Format {
  /** Sees every chunk before it is decompressed. */
  check(chunk: Uint8Array): void;
  /** The decompressor stopped before the end of its input: the rest is padding (true) or the next frame (false). */
  isPadding(rest: Uint8Array): boolean;
  /** Called at the end of a stream without padding. */
  finish(stream: NativeStream): void;
}

class ZlibDecoder implements Decoder {
  readonly compression: "gzip" | "zstd";
  readonly #allocate: () => Uint8Array;
  readonly #format: Format;
  #stream: NativeStream | undefined;
  #padding = false;

  constructor(compression: "gzip" | "zstd", stream: NativeStream, allocate: () => Uint8Array, format: Format) {
    this.compression = compression;
    this.#stream = stream;
    this.#allocate = allocate;
    this.#format = format;
  }

  *decode(chunk: Uint8Array): Iterable<Uint8Array> {
    this.#strictly(() => this.#format.check(chunk));
    if (this.#padding) this.#mustBeZero(chunk);
    else yield* this.#decompress(chunk);
  }

  end(): Iterable<Uint8Array> {
    if (!this.#padding) this.#strictly(() => this.#format.finish(this.#open()));
    return [];
  }

  close(): void {
    this.#stream?.close();
    this.#stream = undefined;
  }

  *#decompress(chunk: Uint8Array): Iterable<Uint8Array> {
    let rest = chunk;
    // A full block may mean that more output waits inside, even when all input was taken.
    let full = false;
    while (rest.length > 0 || full) {
      const stream = this.#open();
      const block = this.#allocate();
      const written = this.#strictly(() => stream.step(rest, block));
      const taken = rest.length - stream.unread;
      rest = rest.subarray(taken);
      full = written === block.length;
      if (written > 0) yield full ? block : block.subarray(0, written);
      if (rest.length > 0 && !full && this.#format.isPadding(rest)) {
        this.#padding = true;
        this.#mustBeZero(rest);
        return;
      }
      if (written === 0 && taken === 0 && rest.length > 0) throw this.#invalid("the decompressor takes no more input");
    }
  }

  #mustBeZero(bytes: Uint8Array): void {
    if (bytes.some((byte) => byte !== 0)) throw this.#invalid("other bytes after the end");
  }

  #open(): NativeStream {
    if (this.#stream === undefined)
      throw new CodedError("ERR_FAILED_PRECONDITION", `${this.compression}: decoder is closed`);
    return this.#stream;
  }

  #strictly<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (error instanceof CodedError) throw error;
      throw this.#invalid(error instanceof Error ? error.message : String(error), error);
    }
  }

  #invalid(why: string, cause?: unknown): CodedError {
    return new CodedError("ERR_INVALID_DATA", `${this.compression}: ${why}`, { cause });
  }
}

const gzipFormat: Format = {
  check: () => undefined,
  // zlib goes on with the next member by itself, unless a zero byte follows.
  isPadding: (rest) => rest[0] === 0,
  finish: (stream) => stream.finish(),
};

function zstdFormat(maxWindow: number): Format {
  const frames = createZstdFrames(maxWindow);
  return {
    check: (chunk) => frames.feed(chunk),
    isPadding: () => false,
    finish: () => {
      if (!frames.complete()) throw new Error("unexpected end of file");
    },
  };
}
