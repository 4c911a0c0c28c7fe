import { availableParallelism } from "node:os";
import { CodedError } from "@varve/errors";
import { untilAborted } from "@varve/locks";
import { createGzipBlocks, createZstdBlocks, freeBlock, type BlockCompressor } from "./block-compressor.ts";
import type { Compression } from "./compression.ts";
import { readUntilAborted } from "./read-until-aborted.ts";

export interface CompressOptions {
  readonly compression: Compression;
  /** 1 to 9 for gzip (default 6), 1 to 19 for zstd (default 3). Not for `none`. */
  readonly level?: number | undefined;
  /**
   * Blocks compressed at a time, in Node's own thread pool; the bytes do not depend on it. Memory: 1 MiB a block for gzip, 4 MiB
   * for zstd (16 MiB above level 9), for two blocks more than this. Default: the number of cores, at most the threads of the pool (`UV_THREADPOOL_SIZE`, or 4).
   */
  readonly concurrency?: number | undefined;
  /** Gives the memory of a block back when the next one is asked for. Takes a third off the peak; blocks cannot be kept then. Default `false`. */
  readonly reuse?: boolean | undefined;
  /** Rejects with the signal's own reason, at once even when the source keeps silent. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Compresses a stream with several cores, in bounded memory. The same bytes in give the same bytes out with the same Node,
 * however they are cut into chunks: gzip as one member without name and time, zstd as frames of 2 MiB (8 MiB above level 9) with checksums. The
 * source may overwrite a chunk when the next one is asked for.
 *
 * @throws ERR_INVALID_ARGUMENT the compression has no such level, or `concurrency` is no count
 */
export async function* compress(
  source: AsyncIterable<Uint8Array>,
  options: CompressOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { compression, signal } = options;
  const level = checkedLevel(compression, options.level);
  const concurrency = checkedConcurrency(options.concurrency);
  const input = readUntilAborted(source, signal);
  if (compression === "none") yield* input;
  else {
    const compressor = compression === "gzip" ? createGzipBlocks(level) : createZstdBlocks(level);
    yield* compressBlocks(input, compressor, { limit: concurrency + 2, reuse: options.reuse ?? false, signal });
  }
}

async function* compressBlocks(
  source: AsyncIterable<Uint8Array>,
  compressor: BlockCompressor,
  { limit, reuse, signal }: { limit: number; reuse: boolean; signal: AbortSignal | undefined },
): AsyncGenerator<Uint8Array, void, undefined> {
  const running: Running[] = [];
  /** Memory of blocks that are done: left to the garbage collector, it would come to several times what is in use. */
  const free: ArrayBuffer[] = [];
  async function* finish({ work, block }: Running): AsyncGenerator<Uint8Array, void, undefined> {
    const packed = await untilAborted(work, signal);
    free.push(block.buffer);
    yield packed;
    if (reuse) freeBlock(packed, block.length);
  }
  if (compressor.head.length > 0) yield compressor.head;
  const memory = (): ArrayBuffer => free.pop() ?? new ArrayBuffer(compressor.blockSize);
  for await (const block of cutBlocks(source, compressor.blockSize, memory)) {
    const work = compressor.start(block);
    // It may fail when nobody waits for it any more.
    work.catch(() => undefined);
    running.push({ work, block });
    const [first] = running;
    if (first === undefined || running.length < limit) continue;
    running.shift();
    yield* finish(first);
  }
  for (const last of running) yield* finish(last);
  const end = compressor.end();
  if (end.length > 0) yield end;
}

interface Running {
  readonly work: Promise<Uint8Array>;
  readonly block: Uint8Array<ArrayBuffer>;
}

/** Blocks of exactly `size` bytes, each in memory of its own, and a shorter one at the end; never an empty one. */
async function* cutBlocks(
  source: AsyncIterable<Uint8Array>,
  size: number,
  memory: () => ArrayBuffer,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let block = new Uint8Array(memory());
  let filled = 0;
  for await (const chunk of source) {
    let taken = 0;
    while (taken < chunk.length) {
      const part = chunk.subarray(taken, taken + size - filled);
      block.set(part, filled);
      filled += part.length;
      taken += part.length;
      if (filled < size) break;
      yield block;
      block = new Uint8Array(memory());
      filled = 0;
    }
  }
  if (filled > 0) yield block.subarray(0, filled);
}

function checkedLevel(compression: Compression, level: number | undefined): number {
  if (compression === "none") {
    if (level !== undefined) throw new CodedError("ERR_INVALID_ARGUMENT", "compress: `none` has no level");
    return 0;
  }
  const [fallback, highest] = compression === "gzip" ? [6, 9] : [3, 19];
  const chosen = level ?? fallback;
  if (Number.isInteger(chosen) && chosen >= 1 && chosen <= highest) return chosen;
  throw new CodedError("ERR_INVALID_ARGUMENT", `compress: ${compression} level ${chosen}: not from 1 to ${highest}`);
}

function checkedConcurrency(concurrency: number | undefined): number {
  if (concurrency === undefined)
    return Math.min(availableParallelism(), Number(process.env["UV_THREADPOOL_SIZE"]) || 4);
  if (Number.isInteger(concurrency) && concurrency >= 1) return concurrency;
  throw new CodedError("ERR_INVALID_ARGUMENT", `compress: concurrency ${concurrency}: not a whole number above 0`);
}
