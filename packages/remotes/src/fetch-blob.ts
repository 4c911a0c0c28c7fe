import { copyBlob, openWriter } from "@varve/content";
import type { CallOptions, Ingester, IngestManager, Writer } from "@varve/content";
import { digestAlgorithm, digestOf } from "@varve/digest";
import { CodedError, hasCode } from "@varve/errors";
import type { OnProgress } from "@varve/images";
import { isSchema1Type, useInlineData } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { byteProgress } from "./byte-progress.ts";
import { refKey } from "./ref-key.ts";
import type { Fetcher } from "./resolver.ts";

export interface FetchBlobOptions extends CallOptions {
  readonly content: Ingester & IngestManager;
  readonly fetcher: Fetcher;
  readonly onProgress?: OnProgress | undefined;
  /** Given to the blob if this call stores it, and the store keeps labels. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Told the ref once an ingest of it is open, here or by whoever is waited for, so that it can be followed. */
  readonly onIngest?: ((ref: string) => void) | undefined;
}

/** How often an ingest may be lost to others. */
const attempts = 3;

/** How a blob got into the store: by this call, or before or beside it. */
export type FetchBlobResult = "fetched" | "exists";

/**
 * Brings one blob into the store. Waits while somebody else fetches it, goes on where an earlier attempt broke off, and
 * uses data that the descriptor carries. An ingest that is taken over or dropped by others is opened again, twice at most.
 * Bytes with a wrong digest are fetched once more from the first one on; if they are wrong again, nothing of them stays.
 * After any other failure the bytes stay for the next attempt.
 *
 * An abort rejects with the signal's reason, also while waiting for the ref.
 *
 * @throws ERR_NOT_IMPLEMENTED a Docker schema 1 manifest
 * @throws ERR_INVALID_ARGUMENT the size is 0, and the digest is not that of nothing
 * @throws ERR_DIGEST_MISMATCH the message names the digest wanted and the one got
 * @throws what the fetcher and the store throw
 */
export async function fetchBlob(descriptor: Descriptor, options: FetchBlobOptions): Promise<FetchBlobResult> {
  mustBeFetchable(descriptor);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await fetchOnce(descriptor, options);
    } catch (error) {
      // Somebody took the ingest over or dropped it, which says nothing about the blob: whoever has it now is waited for.
      const lost = hasCode(error, "ERR_ABORTED") && options.signal?.aborted !== true;
      if (!lost || attempt === attempts) throw error;
      options.onProgress?.({ type: "retry", descriptor, attempt, error });
    }
  }
}

async function fetchOnce(descriptor: Descriptor, options: FetchBlobOptions): Promise<FetchBlobResult> {
  const { content, onProgress, signal } = options;
  const writer = await writerFor(descriptor, options);
  if (writer === undefined) {
    onProgress?.({ type: "exists", descriptor, what: "blob" });
    return "exists";
  }
  try {
    options.onIngest?.(refKey(descriptor));
    await fill(writer, descriptor, options);
  } catch (error) {
    // Everything else can be continued; these bytes are good for nothing.
    if (hasCode(error, "ERR_DIGEST_MISMATCH")) await drop(content, refKey(descriptor));
    throw error;
  } finally {
    await writer.close();
  }
  signal?.throwIfAborted();
  onProgress?.({ type: "fetched", descriptor });
  return "fetched";
}

function mustBeFetchable(descriptor: Descriptor): void {
  const { digest, mediaType, size } = descriptor;
  if (isSchema1Type(mediaType)) {
    const why = "docker schema 1 manifests are not supported: push the image again with a current tool";
    throw new CodedError("ERR_NOT_IMPLEMENTED", `manifest ${digest}: ${why}`);
  }
  // An unknown size is often written as 0; without it nothing bounds the transfer (U-REM.2).
  if (size === 0 && digestOf("", digestAlgorithm(digest)) !== digest) {
    throw new CodedError("ERR_INVALID_ARGUMENT", `content ${digest}: the descriptor has no size`);
  }
}

/** A writer for the blob's ref; none if the blob is stored. */
async function writerFor(descriptor: Descriptor, options: FetchBlobOptions): Promise<Writer | undefined> {
  const { content, onIngest, onProgress, signal } = options;
  let told = false;
  try {
    return await openWriter(content, refKey(descriptor), {
      expected: { digest: descriptor.digest, size: descriptor.size },
      signal,
      onWait: (error) => {
        // Once: the wait may have hundreds of steps.
        if (!told) onProgress?.({ type: "waiting", descriptor, reason: error.message });
        onIngest?.(refKey(descriptor));
        told = true;
      },
    });
  } catch (error) {
    if (hasCode(error, "ERR_ALREADY_EXISTS")) return undefined;
    throw error;
  }
}

async function fill(writer: Writer, descriptor: Descriptor, options: FetchBlobOptions): Promise<void> {
  try {
    await transfer(writer, descriptor, options);
  } catch (error) {
    if (!hasCode(error, "ERR_DIGEST_MISMATCH")) throw error;
    // Either the bytes that an earlier attempt left were bad, or the other side stumbled (N08).
    options.onProgress?.({ type: "retry", descriptor, attempt: 1, error });
    await writer.truncate();
    await transfer(writer, descriptor, options);
  }
}

/** Writes what is missing and commits, unless the digest is wrong: then nothing is committed and the writer stays open. */
async function transfer(writer: Writer, descriptor: Descriptor, options: FetchBlobOptions): Promise<void> {
  const { onProgress, signal } = options;
  const { digest, size } = descriptor;
  const { offset } = writer.status();
  if (offset === size) await mustMatch(writer, descriptor);
  if (offset > 0 && offset <= size) onProgress?.({ type: "resumed", descriptor, bytes: offset });
  const onBytes = byteProgress(descriptor, onProgress);
  const source = (from: number): AsyncIterable<Uint8Array> => checked(writer, from, descriptor, options);
  await copyBlob(writer, source, { digest, size, labels: options.labels, signal, onBytes });
}

async function* checked(
  writer: Writer,
  offset: number,
  descriptor: Descriptor,
  options: FetchBlobOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const inline = useInlineData(descriptor);
  if (inline !== undefined) yield inline.subarray(offset);
  else yield* options.fetcher.fetch(descriptor, { offset, reuse: true, signal: options.signal });
  // All that was yielded is written by now. Judged before the commit, which would close the writer whatever comes of it.
  await mustMatch(writer, descriptor);
}

async function mustMatch(writer: Writer, descriptor: Descriptor): Promise<void> {
  const { offset } = writer.status();
  const actual = await writer.digest();
  if (offset < descriptor.size || actual === descriptor.digest) return;
  const text = `content ${descriptor.digest}: the ${offset} bytes received have the digest ${actual}`;
  throw new CodedError("ERR_DIGEST_MISMATCH", text);
}

/** Before the lock is given up, so that nobody can go on with these bytes. */
async function drop(content: IngestManager, ref: string): Promise<void> {
  try {
    await content.abort(ref);
  } catch (error) {
    if (!hasCode(error, "ERR_NOT_FOUND")) throw error;
  }
}
