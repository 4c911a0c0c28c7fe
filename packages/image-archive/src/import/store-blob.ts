import { copyBlob, openWriter } from "@varve/content";
import type { CallOptions, IngestManager, Ingester, Writer } from "@varve/content";
import type { Digest } from "@varve/digest";
import { CodedError, hasCode } from "@varve/errors";

export interface StoreBlobOptions extends CallOptions {
  readonly content: Ingester & IngestManager;
  /** Where the bytes come from, for messages: `archive: entry "…"`. */
  readonly subject: string;
  /** Names the ingest. What another import left under it is written again. */
  readonly ref: string;
  readonly digest?: Digest | undefined;
  readonly size: number;
}

/**
 * Stores one blob from a source that gives it once, and says its digest. A blob that is stored already is not read. Waits while
 * another import brings the same. Whatever fails, the ingest is dropped: nobody can go on with bytes that come only once.
 *
 * @throws ERR_DIGEST_MISMATCH, ERR_INVALID_DATA the bytes are not `size`, or not those of `digest`
 */
export async function storeBlob(bytes: AsyncIterable<Uint8Array>, options: StoreBlobOptions): Promise<Digest> {
  const { content, digest, ref, size, signal } = options;
  let writer: Writer;
  try {
    writer = await openWriter(content, ref, { expected: { digest, size }, signal });
  } catch (error) {
    if (digest !== undefined && hasCode(error, "ERR_ALREADY_EXISTS")) return digest;
    throw error;
  }
  try {
    if (writer.status().offset > 0) await writer.truncate();
    return await copyBlob(writer, () => checked(bytes, writer, options), { digest, size, signal });
  } catch (error) {
    // Taken over by somebody else, it is not ours to drop.
    if (!hasCode(error, "ERR_ABORTED")) await drop(content, ref);
    throw error;
  } finally {
    await writer.close();
  }
}

/** A source of bytes that are in memory. */
// oxlint-disable-next-line typescript/require-await
export async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}

async function* checked(
  bytes: AsyncIterable<Uint8Array>,
  writer: Writer,
  { digest, size, subject }: StoreBlobOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  yield* bytes;
  // Before the commit, which gives up the lock.
  const { offset } = writer.status();
  if (offset !== size) throw new CodedError("ERR_INVALID_DATA", `${subject}: ended after ${offset} of ${size} bytes`);
  const actual = await writer.digest();
  if (digest === undefined || actual === digest) return;
  throw new CodedError("ERR_DIGEST_MISMATCH", `${subject}: the ${offset} bytes have the digest ${actual}`);
}

async function drop(content: IngestManager, ref: string): Promise<void> {
  try {
    await content.abort(ref);
  } catch (error) {
    if (!hasCode(error, "ERR_NOT_FOUND")) throw error;
  }
}
