import { CodedError } from "@varve/errors";
import { type Compression, detectCompression, sniffLength } from "./compression.ts";
import { openNativeStream, type NativeStream } from "./native-stream.ts";
import { createZstdFrames } from "./zstd-frames.ts";

/** Decompresses one stream in the calling thread, synchronously, in bounded memory. */
export interface Decoder {
  /** Known from the start, or after the first bytes (`sniffLength` of them, or the end) when it is to be detected. */
  readonly compression: Compression | undefined;
  /**
   * Takes the next bytes of the stream and gives what they decompress to, in blocks that are never empty. The work is done
   * as the blocks are taken: take them all before the next call. A block may be overwritten when the next one is taken.
   *
   * @throws ERR_INVALID_DATA (while blocks are taken) the stream is malformed; the decoder can only be closed then
   */
  decode(chunk: Uint8Array): Iterable<Uint8Array>;
  /**
   * Must be called, and its blocks taken, when there is no more input.
   *
   * @throws ERR_INVALID_DATA the stream ends too early
   */
  end(): Iterable<Uint8Array>;
  /** Frees the native decompressor; twice is allowed, and needed whether or not the stream ended. */
  close(): void;
}

/** A faster or other decoder: returns one, or `undefined` to leave that compression to node:zlib. */
export type DecoderFactory = (compression: "gzip" | "zstd") => Decoder | undefined;

export interface DecoderOptions {
  /** Largest block of output, in bytes. Default 256 KiB. */
  readonly blockSize?: number | undefined;
  /**
   * Gives the memory for each block of output (of any length above 0; a view of shared memory is fine).
   * Default: one buffer, used again and again.
   */
  readonly allocate?: (() => Uint8Array) | undefined;
  readonly decoders?: DecoderFactory | undefined;
}

/**
 * Makes a decoder that accepts nothing but whole streams: gzip with any number of members and zero padding at the end,
 * zstd with any number of frames and skippable frames. Truncation, other bytes at the end and wrong checksums are errors.
 *
 * @throws ERR_NOT_IMPLEMENTED this version of Node cannot do it
 */
export function createDecoder(compression: Compression | "detect", options: DecoderOptions = {}): Decoder {
  if (compression === "detect") return new DetectingDecoder(options);
  if (compression === "none") return new PlainDecoder();
  return options.decoders?.(compression) ?? new ZlibDecoder(compression, options);
}

class PlainDecoder implements Decoder {
  readonly compression = "none";

  decode(chunk: Uint8Array): Iterable<Uint8Array> {
    return chunk.length > 0 ? [chunk] : [];
  }

  end(): Iterable<Uint8Array> {
    return [];
  }

  close(): void {
    // Nothing is held.
  }
}

class DetectingDecoder implements Decoder {
  readonly #options: DecoderOptions;
  #head: Buffer = Buffer.alloc(0);
  #decoder: Decoder | undefined;

  constructor(options: DecoderOptions) {
    this.#options = options;
  }

  get compression(): Compression | undefined {
    return this.#decoder?.compression;
  }

  decode(chunk: Uint8Array): Iterable<Uint8Array> {
    if (this.#decoder !== undefined) return this.#decoder.decode(chunk);
    this.#head = Buffer.concat([this.#head, chunk]);
    return this.#head.length >= sniffLength ? this.#decide().decode(this.#head) : [];
  }

  *end(): Iterable<Uint8Array> {
    if (this.#decoder === undefined) yield* this.#decide().decode(this.#head);
    yield* this.#decoder?.end() ?? [];
  }

  close(): void {
    this.#decoder?.close();
  }

  #decide(): Decoder {
    this.#decoder = createDecoder(detectCompression(this.#head), this.#options);
    return this.#decoder;
  }
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

  constructor(compression: "gzip" | "zstd", options: DecoderOptions) {
    this.compression = compression;
    this.#stream = openNativeStream(compression);
    this.#format = compression === "gzip" ? gzipFormat : zstdFormat();
    if (options.allocate === undefined) {
      const buffer = Buffer.allocUnsafeSlow(options.blockSize ?? 256 * 1024);
      this.#allocate = () => buffer;
    } else this.#allocate = options.allocate;
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

function zstdFormat(): Format {
  const frames = createZstdFrames();
  return {
    check: (chunk) => frames.feed(chunk),
    isPadding: () => false,
    finish: () => {
      if (!frames.complete()) throw new Error("unexpected end of file");
    },
  };
}
