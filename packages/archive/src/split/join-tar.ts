import { createHash } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import { CodedError } from "@varve/errors";
import { BlockOutput } from "../block-output.ts";
import { defaultSubject, placed, printableName } from "../entry-error.ts";
import { Crc64 } from "./crc64.ts";
import { SplitRecordReader, type SplitRecord } from "./split-record.ts";
import type { ContentFile, SplitFiles } from "./types.ts";

export interface JoinTarOptions {
  /** Rejects with the signal's own reason. */
  readonly signal?: AbortSignal | undefined;
  /** Digest that the whole archive must have (sha256, sha384 or sha512), checked at the end. Default: not checked. */
  readonly diffId?: string | undefined;
  /** Longest record, in bytes. Default 32 MiB: older tools wrote all that follows an archive's end as one. */
  readonly recordBytes?: number | undefined;
  /** Size of the blocks that come out, in bytes. Default 256 KiB. */
  readonly blockSize?: number | undefined;
  /** What messages start with. Default `layer`. */
  readonly subject?: string | undefined;
}

/** Length of records, in bytes, unless an option says otherwise. */
export const defaultRecordBytes: number = 32 * 1024 * 1024;
/** Bytes given out before other work of this thread gets its turn. */
const turnBytes = 1024 * 1024;

/**
 * Rebuilds an archive from its records (of `createTarSplitter`, or of moby) and the files it was unpacked to, bit for bit. Files are
 * read in the calling thread. If it fails, bytes of the file that is at fault may be out already, but none after them: whoever
 * passes the stream on must not end it as if it were whole. A block is valid until the next one is asked for. Neither `records` nor `files` say what the records themselves must be;
 * `diffId` does.
 *
 * @param records lines of JSON, unpacked
 * @throws ERR_DATA_LOSS a file is gone, is none, or has other content than was recorded; the archive is not the one of `diffId`
 * @throws ERR_INVALID_DATA the records are malformed
 * @throws ERR_INVALID_ARGUMENT `diffId` is no digest, or `blockSize` no size
 * @throws ERR_RESOURCE_EXHAUSTED a record is longer than `recordBytes`
 */
export async function* joinTar(
  records: AsyncIterable<Uint8Array>,
  files: SplitFiles,
  options: JoinTarOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const { signal, diffId } = options;
  signal?.throwIfAborted();
  const { blockSize = 256 * 1024, recordBytes = defaultRecordBytes, subject = defaultSubject } = options;
  const output = new BlockOutput(undefined, blockSize);
  const joiner = new Joiner(files, output, subject);
  const reader = new SplitRecordReader(subject, recordBytes);
  const algorithm = algorithmOf(diffId);
  const hash = algorithm === undefined ? undefined : createHash(algorithm);
  let sinceTurn = 0;
  for await (const part of partsOf(records, reader)) {
    for (const block of joiner.join(part)) {
      hash?.update(block);
      signal?.throwIfAborted();
      yield block;
      signal?.throwIfAborted();
      sinceTurn += block.length;
      if (sinceTurn < turnBytes) continue;
      sinceTurn = 0;
      await nextTurn();
    }
  }
  const [last = new Uint8Array(0)] = output.flush();
  hash?.update(last);
  const digest = hash === undefined ? diffId : `${algorithm}:${hash.digest("hex")}`;
  if (digest !== diffId) {
    throw new CodedError("ERR_DATA_LOSS", `${subject}: the rebuilt archive is ${digest} instead of ${diffId}`);
  }
  if (last.length > 0) yield last;
}

function algorithmOf(digest: string | undefined): string | undefined {
  if (digest === undefined) return undefined;
  const algorithm = /^(sha256|sha384|sha512):[0-9a-f]+$/.exec(digest)?.[1];
  if (algorithm === undefined) throw new CodedError("ERR_INVALID_ARGUMENT", `diff ID ${digest}: not a digest`);
  return algorithm;
}

async function* partsOf(
  records: AsyncIterable<Uint8Array>,
  reader: SplitRecordReader,
): AsyncGenerator<Generator<SplitRecord, void, undefined>, void, undefined> {
  for await (const chunk of records) yield reader.read(chunk);
  yield reader.end();
}

/** Puts records and files together. */
class Joiner {
  readonly #files: SplitFiles;
  readonly #output: BlockOutput;
  readonly #subject: string;
  readonly #sum = new Crc64();

  constructor(files: SplitFiles, output: BlockOutput, subject: string) {
    this.#files = files;
    this.#output = output;
    this.#subject = subject;
  }

  *join(records: Iterable<SplitRecord>): Generator<Uint8Array, void, undefined> {
    for (const record of records) {
      if (record.type === "segment") yield* this.#output.put(record.payload);
      else if (record.size > 0) yield* this.#file(record.name, record.size, record.sum);
    }
  }

  *#file(name: Buffer, size: number, sum: Buffer): Generator<Uint8Array, void, undefined> {
    const output = this.#output;
    const offset = output.bytes;
    const fail = (why: string): CodedError =>
      new CodedError(
        "ERR_DATA_LOSS",
        `${this.#subject}: entry "${printableName(name.toString("latin1"))}" at byte ${offset}: ${why}`,
      );
    const file = this.#open(name, offset);
    if (typeof file === "string") throw fail(`the file ${file}`);
    try {
      if (file.size !== size) throw fail(`the file has ${file.size} bytes instead of ${size}`);
      this.#sum.reset();
      for (let left = size; left > 0;) {
        if (output.room === 0) yield* output.makeRoom();
        const length = this.#read(file, left, name, offset);
        if (length === 0) throw fail(`the file ends ${left} bytes too early`);
        left -= length;
      }
    } finally {
      file.close();
    }
    if (!this.#sum.sum().equals(sum)) throw fail("the file has other content than was recorded");
  }

  #open(name: Buffer, offset: number): ContentFile | string {
    try {
      return this.#files.open(name);
    } catch (error) {
      throw placed(error, { subject: this.#subject, name: name.toString("latin1"), offset });
    }
  }

  #read(file: ContentFile, most: number, name: Buffer, offset: number): number {
    const { block, used } = this.#output;
    try {
      const target = block.subarray(used, used + most);
      const length = file.read(target);
      this.#sum.update(length === target.length ? target : target.subarray(0, length));
      this.#output.add(length);
      return length;
    } catch (error) {
      throw placed(error, { subject: this.#subject, name: name.toString("latin1"), offset });
    }
  }
}
