import type { Digest } from "@varve/digest";
import { CodedError, hasCode } from "@varve/errors";
import type { CallOptions } from "./call-options.ts";
import type { Expected, Writer } from "./ingester.ts";

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

async function commit(
  writer: Writer,
  expected: Expected,
  options: { labels: Readonly<Record<string, string>> | undefined; signal: AbortSignal | undefined },
): Promise<Digest> {
  const written = expected.digest ?? (await writer.digest());
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
