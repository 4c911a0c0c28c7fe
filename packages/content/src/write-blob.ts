import type { Digest } from "@varve/digest";
import { CodedError, hasCode } from "@varve/errors";
import { copyBlob } from "./copy-blob.ts";
import type { CopyBlobOptions } from "./copy-blob.ts";
import type { Ingester, Writer } from "./ingester.ts";
import { canLabel } from "./manager.ts";
import { openWriter } from "./open-writer.ts";
import type { OpenWriterOptions } from "./open-writer.ts";

export interface WriteBlobOptions extends OpenWriterOptions, Pick<CopyBlobOptions, "labels" | "onBytes"> {}

/**
 * Bytes in memory, a function that gives the blob from an offset on, or a stream that begins at the blob's first byte.
 * Only the stream cannot be asked again.
 */
export type BlobSource = Uint8Array | ((offset: number) => AsyncIterable<Uint8Array>) | AsyncIterable<Uint8Array>;

/** How often an ingest may be lost to others. */
const attempts = 3;

/**
 * Stores one blob under the ref `ref`. Waits while another writer has the ref; a blob that is in the store already is
 * success (U-CS.9). If the ingest is taken away while it is written it is opened again, twice at most, where the source
 * can be asked again. After any other failure the bytes written so far stay, and the next writer of `ref` continues.
 *
 * @throws what `copyBlob` and `openWriter` throw
 */
export async function writeBlob(
  ingester: Ingester,
  ref: string,
  source: BlobSource,
  options: WriteBlobOptions = {},
): Promise<Digest> {
  const canRestart = source instanceof Uint8Array || typeof source === "function";
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await writeOnce(ingester, ref, source, options);
    } catch (error) {
      // Aborted or taken over by somebody, or collected between its commit and its record.
      const lost = hasCode(error, "ERR_ABORTED") || hasCode(error, "ERR_UNAVAILABLE");
      if (!lost || !canRestart || attempt === attempts || options.signal?.aborted === true) throw error;
    }
  }
}

async function writeOnce(
  ingester: Ingester,
  ref: string,
  source: BlobSource,
  options: WriteBlobOptions,
): Promise<Digest> {
  const { expected, labels, signal, onBytes, onWait } = options;
  let writer: Writer;
  try {
    writer = await openWriter(ingester, ref, { expected, signal, onWait });
  } catch (error) {
    const stored = expected?.digest;
    if (stored === undefined || !hasCode(error, "ERR_ALREADY_EXISTS")) throw error;
    // The labels of this call are wanted all the same (S3.12): whoever stored the blob may have died before it had any.
    if (labels !== undefined && canLabel(ingester)) await ingester.label(stored, labels, { signal });
    return stored;
  }
  let digest: Digest;
  try {
    // What an earlier writer left may be other bytes than these, and bytes in memory are cheap to write again.
    if (source instanceof Uint8Array && writer.status().offset > 0) await writer.truncate();
    digest = await copyBlob(writer, (offset) => from(source, offset), { ...expected, labels, signal, onBytes });
  } catch (error) {
    // Why the copy failed is what the caller has to know.
    await writer.close().catch(() => {});
    throw error;
  }
  await writer.close();
  return digest;
}

function from(source: BlobSource, offset: number): AsyncIterable<Uint8Array> {
  if (source instanceof Uint8Array) return pieces(source.subarray(offset));
  return typeof source === "function" ? source(offset) : skip(source, offset);
}

// oxlint-disable-next-line typescript/require-await
async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  if (bytes.byteLength > 0) yield bytes;
}

async function* skip(source: AsyncIterable<Uint8Array>, count: number): AsyncGenerator<Uint8Array, void, undefined> {
  let left = count;
  for await (const chunk of source) {
    const drop = Math.min(left, chunk.byteLength);
    left -= drop;
    if (drop < chunk.byteLength) yield drop === 0 ? chunk : chunk.subarray(drop);
  }
  if (left > 0) {
    throw new CodedError("ERR_INVALID_DATA", `source: ended ${left} bytes before the ${count} that are stored already`);
  }
}
