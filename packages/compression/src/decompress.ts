import { setImmediate as nextTurn } from "node:timers/promises";
import { type Compression } from "./compression.ts";
import { createDecoder, type DecoderOptions } from "./decoder.ts";

export interface DecompressOptions {
  /** Default: recognised by the first bytes. */
  readonly compression?: Compression | undefined;
  /** Rejects with the signal's own reason. */
  readonly signal?: AbortSignal | undefined;
  readonly decoders?: DecoderOptions["decoders"] | undefined;
}

/** So many bytes of output, a few milliseconds of work, before other work of this thread gets its turn. */
const turnBytes = 1024 * 1024;

/**
 * Decompresses a stream as strictly as `createDecoder`, in the calling thread, a few milliseconds at a time.
 * Layers of any size belong into a worker thread, with `createDecoder`.
 *
 * @throws ERR_INVALID_DATA the stream is malformed or ends too early
 */
export async function* decompress(
  source: AsyncIterable<Uint8Array>,
  options: DecompressOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const decoder = createDecoder(options.compression ?? "detect", {
    decoders: options.decoders,
    allocate: () => Buffer.allocUnsafeSlow(64 * 1024),
  });
  let sinceTurn = 0;
  try {
    for await (const chunk of source) {
      for (const block of decoder.decode(chunk)) {
        options.signal?.throwIfAborted();
        sinceTurn += block.length;
        yield block;
        if (sinceTurn < turnBytes) continue;
        sinceTurn = 0;
        await nextTurn();
      }
    }
    yield* decoder.end();
  } finally {
    decoder.close();
  }
}
