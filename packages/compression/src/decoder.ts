import { CodedError } from "@varve/errors";
import { type Compression, detectCompression, sniffLength } from "./compression.ts";
import { limitOutput } from "./output-limits.ts";
import { createZlibDecoder } from "./zlib-decoder.ts";

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

/**
 * A faster or other decoder: returns one, or `undefined` to leave that compression to node:zlib.
 * `allocate` gives the memory for each block of output.
 */
export type DecoderFactory = (compression: "gzip" | "zstd", allocate: () => Uint8Array) => Decoder | undefined;

/** What a stream may cost whoever decompresses it. Whatever goes beyond is ERR_RESOURCE_EXHAUSTED, with the option's name. */
export interface DecoderLimits {
  /** Most bytes that may come out. Default: no limit. */
  readonly maxBytes?: number | undefined;
  /**
   * Most bytes that may come out for one byte that goes in, as soon as more than 1 GiB came out. gzip cannot exceed 1,032, zstd
   * can reach 40,000. A file of zeros compresses like a bomb, and layers do hold such files, so there is no limit by default.
   */
  readonly maxRatio?: number | undefined;
  /**
   * Largest window of a zstd frame in bytes: the memory that it takes to decompress it. Default 128 MiB, the limit of the zstd
   * command and the most that its levels ask for; frames made with `--long=28` or more need a higher one.
   */
  readonly maxWindow?: number | undefined;
}

export interface DecoderOptions extends DecoderLimits {
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
 * @throws ERR_INVALID_ARGUMENT a limit is no number above 0
 */
export function createDecoder(compression: Compression | "detect", options: DecoderOptions = {}): Decoder {
  const decoder = compression === "detect" ? new DetectingDecoder(options) : decoderOf(compression, options);
  return limitOutput(decoder, options);
}

function decoderOf(compression: Compression, options: DecoderOptions): Decoder {
  if (compression === "none") return new PlainDecoder();
  const allocate = options.allocate ?? oneBuffer(options.blockSize ?? 256 * 1024);
  const other = options.decoders?.(compression, allocate);
  return other ?? createZlibDecoder(compression, allocate, options.maxWindow ?? 128 * 1024 * 1024);
}

function oneBuffer(size: number): () => Uint8Array {
  const buffer = Buffer.allocUnsafeSlow(size);
  return () => buffer;
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
  #closed = false;

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
    this.#closed = true;
    this.#decoder?.close();
  }

  #decide(): Decoder {
    // A decoder that is made now would never be closed.
    if (this.#closed) throw new CodedError("ERR_FAILED_PRECONDITION", "decoder is closed");
    this.#decoder = decoderOf(detectCompression(this.#head), this.#options);
    return this.#decoder;
  }
}
