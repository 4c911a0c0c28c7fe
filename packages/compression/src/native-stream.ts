/* oxlint-disable no-underscore-dangle, unicorn/prefer-add-event-listener -- this one file reaches into the streams of node:zlib */
import { constants, createGunzip, createZstdDecompress } from "node:zlib";
import { CodedError } from "@varve/errors";

/** One native decompressor of node:zlib, driven by hand: no stream machinery, no event loop, no buffer of unknown size. */
export interface NativeStream {
  /** Bytes of `input` that the last `step` did not take. */
  readonly unread: number;
  /**
   * Decompresses from `input` into `output` until one of them is used up, or a frame or member ends.
   *
   * @returns bytes written to `output`
   * @throws Error with zlib's or zstd's own message
   */
  step(input: Uint8Array, output: Uint8Array): number;
  /** Tells the decompressor that no more input follows; throws if it is in the middle of something and knows it. */
  finish(): void;
  close(): void;
}

/**
 * What the streams of node:zlib carry inside. It is not public, but has had this shape since Node 12 and is what every
 * synchronous streaming inflate on npm uses; nothing public decompresses a stream synchronously in bounded memory.
 */
interface Internals {
  readonly _handle: {
    writeSync(
      flush: number,
      input: Uint8Array,
      inputOffset: number,
      inputLength: number,
      output: Uint8Array,
      outputOffset: number,
      outputLength: number,
    ): void;
    onerror: (message: string, errno: number, code: string) => void;
  };
  /** After `writeSync`: free bytes of the output, unread bytes of the input. */
  readonly _writeState: Uint32Array;
  close(): void;
}

const nothing: Uint8Array = new Uint8Array(0);

/** @throws ERR_NOT_IMPLEMENTED this Node's zlib does not have the shape that is needed */
export function openNativeStream(compression: "gzip" | "zstd", maxWindow: number): NativeStream {
  // Windows are checked by their exact size before; zstd itself would stop at 128 MiB.
  const params = { [constants.ZSTD_d_windowLogMax]: Math.min(31, Math.max(10, Math.ceil(Math.log2(maxWindow)))) };
  // The stream's own buffer is never used.
  const chunkSize = constants.Z_MIN_CHUNK;
  const stream = compression === "gzip" ? createGunzip({ chunkSize }) : createZstdDecompress({ chunkSize, params });
  if (hasInternals(stream)) return new ZlibStream(compression, stream);
  stream.close();
  throw new CodedError(
    "ERR_NOT_IMPLEMENTED",
    `${compression}: Node ${process.version} has no synchronous streaming decompressor`,
  );
}

function hasInternals(stream: object): stream is Internals {
  if (!("_handle" in stream) || !("_writeState" in stream)) return false;
  const handle = stream._handle;
  return (
    typeof handle === "object" &&
    handle !== null &&
    "writeSync" in handle &&
    typeof handle.writeSync === "function" &&
    stream._writeState instanceof Uint32Array
  );
}

class ZlibStream implements NativeStream {
  readonly #internals: Internals;
  readonly #run: number;
  readonly #end: number;
  #failure: Error | undefined;

  constructor(compression: "gzip" | "zstd", internals: Internals) {
    const gzip = compression === "gzip";
    this.#run = gzip ? constants.Z_NO_FLUSH : constants.ZSTD_e_continue;
    this.#end = gzip ? constants.Z_FINISH : constants.ZSTD_e_end;
    this.#internals = internals;
    internals._handle.onerror = (message) => {
      this.#failure = new Error(message);
    };
  }

  get unread(): number {
    return this.#internals._writeState[1] ?? 0;
  }

  step(input: Uint8Array, output: Uint8Array): number {
    this.#write(this.#run, input, output);
    return output.length - (this.#internals._writeState[0] ?? 0);
  }

  finish(): void {
    this.#write(this.#end, nothing, new Uint8Array(1));
  }

  close(): void {
    this.#internals.close();
  }

  #write(flush: number, input: Uint8Array, output: Uint8Array): void {
    this.#internals._handle.writeSync(flush, input, 0, input.length, output, 0, output.length);
    if (this.#failure !== undefined) throw this.#failure;
  }
}
