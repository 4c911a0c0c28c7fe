import type { CallOptions } from "@varve/content";
import { digestAlgorithm, digestOf } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { defaultMaxDocumentSize, isSchema1Type, useInlineData } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import type { Fetcher } from "./resolver.ts";

export interface ReadRemoteOptions extends CallOptions {
  /** Most bytes that are taken into memory. Default: that of documents, 8 MiB. */
  readonly limit?: number | undefined;
}

/** Bytes with a wrong digest are asked for once more (N08). */
const attempts = 2;

/**
 * Gets all bytes of a manifest, config or other small thing into memory, and verifies them. Data that the descriptor carries
 * is used if it is right.
 *
 * @throws ERR_RESOURCE_EXHAUSTED it is larger than `limit`; nothing is asked for then
 * @throws ERR_DIGEST_MISMATCH the bytes have another digest or size, also when asked for again
 * @throws ERR_NOT_IMPLEMENTED a Docker schema 1 manifest
 * @throws what the fetcher throws
 */
export async function readRemote(
  fetcher: Fetcher,
  descriptor: Descriptor,
  options: ReadRemoteOptions = {},
): Promise<Uint8Array> {
  const { limit = defaultMaxDocumentSize, signal } = options;
  const { digest, mediaType, size } = descriptor;
  signal?.throwIfAborted();
  if (isSchema1Type(mediaType)) throw new CodedError("ERR_NOT_IMPLEMENTED", `manifest ${digest}: docker schema 1`);
  if (size > limit) {
    throw new CodedError("ERR_RESOURCE_EXHAUSTED", `content ${digest}: ${size} bytes are over the limit of ${limit}`);
  }
  const inline = useInlineData(descriptor);
  if (inline !== undefined) return inline;
  for (let attempt = 1; ; attempt += 1) {
    const bytes = await readAll(fetcher, descriptor, signal);
    const actual = digestOf(bytes, digestAlgorithm(digest));
    if (actual === digest && bytes.byteLength === size) return bytes;
    if (attempt < attempts) continue;
    const text = `content ${digest}: the ${bytes.byteLength} bytes received have the digest ${actual}`;
    throw new CodedError("ERR_DIGEST_MISMATCH", text);
  }
}

async function readAll(
  fetcher: Fetcher,
  descriptor: Descriptor,
  signal: AbortSignal | undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  const { digest, size } = descriptor;
  // Copied as they come: a piece costs far more memory than a byte, and the other side chooses how small the pieces are.
  const bytes = Buffer.alloc(size);
  let total = 0;
  for await (const chunk of fetcher.fetch(descriptor, { signal })) {
    signal?.throwIfAborted();
    const end = total + chunk.byteLength;
    if (end > size) {
      throw new CodedError("ERR_DIGEST_MISMATCH", `content ${digest}: at least ${end} bytes, expected ${size}`);
    }
    bytes.set(chunk, total);
    total = end;
  }
  return bytes.subarray(0, total);
}
