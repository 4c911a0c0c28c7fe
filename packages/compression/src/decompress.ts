import { setImmediate as nextTurn } from "node:timers/promises";
import { CodedError } from "@varve/errors";
import { type Compression } from "./compression.ts";
import { createDecoder, type DecoderLimits, type DecoderOptions } from "./decoder.ts";
import { readUntilAborted } from "./read-until-aborted.ts";

export interface DecompressOptions extends DecoderLimits {
  /** Default: recognised by the first bytes. */
  readonly compression?: Compression | undefined;
  /** Rejects with the signal's own reason. */
  readonly signal?: AbortSignal | undefined;
  readonly decoders?: DecoderOptions["decoders"] | undefined;
  /** What errors of the decompression begin with: `layer a.tar.gz`. What the source throws is left as it is. Default: nothing. */
  readonly subject?: string | undefined;
}

/** So many bytes in or out, a few milliseconds of work, before other work of this thread gets its turn. */
const turnBytes = 1024 * 1024;

/**
 * Decompresses a stream as strictly as `createDecoder`, in the calling thread, a few milliseconds at a time.
 * Layers of any size belong into a worker thread, with `createDecoder`.
 *
 * @throws ERR_INVALID_DATA the stream is malformed or ends too early
 * @throws ERR_RESOURCE_EXHAUSTED the stream exceeds a limit
 */
export async function* decompress(
  source: AsyncIterable<Uint8Array>,
  options: DecompressOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const { compression = "detect", signal, subject } = options;
  const decoder = createDecoder(compression, { ...options, allocate: () => Buffer.allocUnsafeSlow(64 * 1024) });
  let sinceTurn = 0;
  const turn = async (bytes: number): Promise<void> => {
    signal?.throwIfAborted();
    sinceTurn += bytes;
    if (sinceTurn < turnBytes) return;
    sinceTurn = 0;
    await nextTurn();
  };
  try {
    for await (const part of inParts(readUntilAborted(source, signal))) {
      for (const block of naming(decoder.decode(part), subject)) {
        await turn(block.length);
        yield block;
      }
      // Much may go in and nothing come out: a name of gigabytes, a million empty frames.
      await turn(part.length);
    }
    yield* naming(decoder.end(), subject);
  } finally {
    decoder.close();
  }
}

/** However large the chunks are. */
async function* inParts(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length; at += turnBytes) yield chunk.subarray(at, at + turnBytes);
  }
}

function* naming(blocks: Iterable<Uint8Array>, subject: string | undefined): Generator<Uint8Array, void, undefined> {
  try {
    yield* blocks;
  } catch (error) {
    if (subject === undefined || !(error instanceof CodedError)) throw error;
    throw new CodedError(error.code, `${subject}: ${error.message}`, { cause: error.cause });
  }
}
