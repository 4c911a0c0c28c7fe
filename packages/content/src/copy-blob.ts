import type { Digest } from "@varve/digest";
import { CodedError, hasCode } from "@varve/errors";
import type { CallOptions } from "./call-options.ts";
import type { Expected, Ingester, Writer } from "./ingester.ts";
import { openWriter } from "./open-writer.ts";
import type { OpenWriterOptions } from "./open-writer.ts";

export interface CopyBlobOptions extends Expected, CallOptions {
  /** Given to the blob by stores that keep labels. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Told how many bytes of the blob there are: once before the first, then after each chunk. It must not throw. */
  readonly onBytes?: ((total: number) => void) | undefined;
}

/**
 * Writes what is missing and commits (U-CS.10). `source` is asked for the bytes from an offset on, which is not 0 if an
 * earlier writer left some. A blob that turns out to be in the store already is success. The commit closes the writer;
 * if the copy fails before it, the bytes stay and closing is left to the caller.
 *
 * @throws ERR_INVALID_DATA the source ended before `size` bytes
 * @throws ERR_DIGEST_MISMATCH the source gave more than `size` bytes, or the digest is another
 */
export async function copyBlob(
  writer: Writer,
  source: (offset: number) => AsyncIterable<Uint8Array>,
  options: CopyBlobOptions = {},
): Promise<Digest> {
  const { digest, size, labels, signal, onBytes } = options;
  let { offset } = writer.status();
  if (size !== undefined && offset > size) {
    await writer.truncate();
    offset = 0;
  }
  onBytes?.(offset);
  if (offset !== size) {
    for await (const chunk of source(offset)) {
      signal?.throwIfAborted();
      offset += chunk.byteLength;
      if (size !== undefined && offset > size) {
        throw new CodedError(
          "ERR_DIGEST_MISMATCH",
          `${subject(writer, digest)}: at least ${offset} bytes, expected ${size}`,
        );
      }
      await writer.write(chunk, { signal });
      onBytes?.(offset);
    }
  }
  signal?.throwIfAborted();
  if (size !== undefined && offset < size) {
    throw new CodedError("ERR_INVALID_DATA", `${subject(writer, digest)}: ended after ${offset} of ${size} bytes`);
  }
  return commit(writer, { digest, size }, { labels, signal });
}

export interface WriteBlobOptions extends OpenWriterOptions, Pick<CopyBlobOptions, "labels" | "onBytes"> {}

/**
 * Stores one blob under the ref `ref`, from bytes in memory or from a stream that begins at the blob's first byte.
 * Waits while another writer has the ref; a blob that is in the store already is success (U-CS.9).
 *
 * @throws what `copyBlob` and `openWriter` throw
 */
export async function writeBlob(
  ingester: Ingester,
  ref: string,
  source: AsyncIterable<Uint8Array> | Uint8Array,
  options: WriteBlobOptions = {},
): Promise<Digest> {
  const { expected, labels, signal, onBytes, onWait } = options;
  let writer: Writer;
  try {
    writer = await openWriter(ingester, ref, { expected, signal, onWait });
  } catch (error) {
    const stored = expected?.digest;
    if (stored !== undefined && hasCode(error, "ERR_ALREADY_EXISTS")) return stored;
    throw error;
  }
  try {
    // What a stream gave before may be other bytes than a resume expects, bytes in memory are cheap to write again.
    if (source instanceof Uint8Array && writer.status().offset > 0) await writer.truncate();
    const from = (offset: number): AsyncIterable<Uint8Array> =>
      source instanceof Uint8Array ? pieces(source.subarray(offset)) : skip(source, offset);
    return await copyBlob(writer, from, { ...expected, labels, signal, onBytes });
  } finally {
    await writer.close();
  }
}

async function commit(
  writer: Writer,
  expected: Expected,
  options: { labels: Readonly<Record<string, string>> | undefined; signal: AbortSignal | undefined },
): Promise<Digest> {
  const written = expected.digest ?? writer.digest();
  try {
    return await writer.commit(expected, options);
  } catch (error) {
    if (hasCode(error, "ERR_ALREADY_EXISTS")) return written;
    throw error;
  }
}

function subject(writer: Writer, digest: Digest | undefined): string {
  return digest === undefined ? `ingest ${writer.status().ref}` : `content ${digest}`;
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
