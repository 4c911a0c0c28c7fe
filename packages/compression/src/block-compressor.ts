import type { Transform } from "node:stream";
import { constants, crc32, createDeflateRaw, createZstdCompress, zstdCompressSync, type ZstdOptions } from "node:zlib";

/** Compresses the blocks of one stream side by side, in Node's thread pool; together they are a stream that any tool reads. */
export interface BlockCompressor {
  readonly blockSize: number;
  /** Goes before the first block. */
  readonly head: Uint8Array;
  /** Starts one block; blocks are given in their order, need not be awaited and must not change until they are done. */
  start(block: Uint8Array): Promise<Uint8Array>;
  /** What goes after the last block. */
  end(): Uint8Array;
}

/** How far back deflate can point. */
const deflateWindow = 32 * 1024;

/**
 * One gzip member. Each block ends at a byte (a sync flush) and points back into the one before it, as pigz does it: that
 * costs less than 0.1 % of size. Blocks of half this size cost 5 % more time.
 */
export function createGzipBlocks(level: number): BlockCompressor {
  const effort = level === 9 ? 2 : level === 1 ? 4 : 0;
  let checksum = 0;
  let length = 0;
  let before: Uint8Array | undefined;
  return {
    blockSize: 512 * 1024,
    // RFC 1952: no flags, no time; the system is "unknown", so that it does not depend on where this runs.
    head: Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, effort, 255]),
    start(block) {
      checksum = crc32(block, checksum);
      length += block.length;
      const dictionary = before;
      // A copy, because the memory of a block that is done is used again.
      before = block.slice(-deflateWindow);
      return deflateBlock(block, level, dictionary);
    },
    end() {
      // The last block of deflate, empty; then checksum and length of everything.
      const tail = Buffer.from([3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
      tail.writeUInt32LE(checksum, 2);
      tail.writeUInt32LE(length % 2 ** 32, 6);
      return tail;
    },
  };
}

function deflateBlock(block: Uint8Array, level: number, dictionary: Uint8Array | undefined): Promise<Uint8Array> {
  const options = { level, finishFlush: constants.Z_SYNC_FLUSH, chunkSize: roomFor(block.length) };
  return compressBlock(createDeflateRaw(dictionary === undefined ? options : { ...options, dictionary }), block);
}

/**
 * Independent frames, each with its size and a checksum. At level 3 they are 2.5 % larger than one frame for all, and fit
 * into small memory; high levels live of their large windows, and whoever asks for them has time and memory.
 */
export function createZstdBlocks(level: number): BlockCompressor {
  let empty = true;
  return {
    blockSize: (level > 9 ? 8 : 2) * 1024 * 1024,
    head: new Uint8Array(0),
    start(block) {
      empty = false;
      return zstdFrame(block, level);
    },
    end: () => (empty ? zstdCompressSync(new Uint8Array(0), frameOptions(level, 0)) : new Uint8Array(0)),
  };
}

function zstdFrame(block: Uint8Array, level: number): Promise<Uint8Array> {
  return compressBlock(
    createZstdCompress({ ...frameOptions(level, block.length), chunkSize: roomFor(block.length) }),
    block,
  );
}

function frameOptions(level: number, size: number): ZstdOptions {
  const params = { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 };
  return { params, pledgedSrcSize: size };
}

/**
 * Not the functions of node:zlib that take a callback: they copy what comes in two parts, and leave the memory of the parts to the
 * garbage collector.
 */
function compressBlock(engine: Transform, block: Uint8Array): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const parts: Uint8Array[] = [];
  engine.on("data", (part: Uint8Array) => parts.push(part));
  engine.once("error", reject);
  engine.once("end", () => resolve(join(parts)));
  engine.end(block);
  return promise;
}

/** The parts as one, without a copy where they lie in one piece of memory. */
function join(parts: readonly Uint8Array[]): Uint8Array {
  const [first = new Uint8Array(0)] = parts;
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  let end = first.byteOffset;
  for (const part of parts) {
    if (part.buffer !== first.buffer || part.byteOffset !== end) return Buffer.concat(parts, length);
    end += part.length;
  }
  return new Uint8Array(first.buffer, first.byteOffset, length);
}

/**
 * Frees the memory of a compressed block. Left to the garbage collector, which sees only small objects, it would come to tens
 * of megabytes.
 *
 * @param length of the block before it was compressed
 */
export function freeBlock(packed: Uint8Array, length: number): void {
  const { buffer } = packed;
  // Only what was allocated for this block alone: small Buffers share theirs with others.
  if (buffer instanceof ArrayBuffer && buffer.byteLength === roomFor(length)) buffer.transfer(0);
}

/** Room for a block that does not get smaller, so that its work is one call: node:zlib goes to the pool once a chunk. */
function roomFor(length: number): number {
  return length + (length >> 7) + 1024;
}
