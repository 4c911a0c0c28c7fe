import { createVerifier } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError, hasCode } from "@varve/errors";
import { useInlineData } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import type { CallOptions } from "./call-options.ts";
import { judge } from "./judge.ts";
import type { Manager } from "./manager.ts";
import type { BlobReader, Provider } from "./provider.ts";
import { sizeMismatch } from "./stream-blob.ts";

export interface ReadBlobOptions extends CallOptions {
  /** Largest blob to read, in bytes. Default: 8 MiB, more than any sound manifest, index or config. */
  readonly limit?: number | undefined;
}

const defaultLimit = 8 * 1024 * 1024;
const step = 256 * 1024;

/**
 * Reads a small blob into memory and verifies its size and digest: what is returned is what `descriptor` names.
 * Data that the descriptor carries itself is used instead of the store if it fits (U-CS.7). Wrong bytes in the store are
 * quarantined as by `streamBlob` (F11), if they are not over the limit.
 *
 * @throws ERR_INVALID_ARGUMENT the digest is malformed
 * @throws ERR_NOT_FOUND no such blob
 * @throws ERR_RESOURCE_EXHAUSTED the descriptor names more bytes than `limit`
 * @throws ERR_DIGEST_MISMATCH the stored bytes are not what the descriptor says
 */
export async function readBlob(
  provider: Provider,
  descriptor: Descriptor,
  options: ReadBlobOptions = {},
): Promise<Uint8Array> {
  const { limit = defaultLimit, signal } = options;
  signal?.throwIfAborted();
  const { digest, size } = descriptor;
  if (size > limit) {
    throw new CodedError("ERR_RESOURCE_EXHAUSTED", `content ${digest}: ${size} bytes are over the limit of ${limit}`);
  }
  const inline = useInlineData(descriptor);
  if (inline !== undefined) return inline;
  const reader = await provider.open(descriptor, { signal });
  try {
    return await readAll(reader, descriptor, signal);
  } catch (error) {
    throw await judge(provider, descriptor, error, { limit, signal });
  } finally {
    await reader.close();
  }
}

async function readAll(
  reader: BlobReader,
  descriptor: Descriptor,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const { digest, size } = descriptor;
  // Compared before the allocation: a descriptor is a claim, the stored size a fact.
  if (reader.size !== size) throw sizeMismatch(descriptor, reader.size);
  const bytes = new Uint8Array(size);
  const verifier = createVerifier(digest, size);
  for (let position = 0; position < size; position += step) {
    const part = bytes.subarray(position, Math.min(size, position + step));
    const got = await reader.read(part, position, { signal });
    verifier.update(part.subarray(0, got));
  }
  verifier.verify();
  return bytes;
}

/** Whether the store has the blob (U-CS.12). Errors other than ERR_NOT_FOUND are passed on. */
export async function blobExists(manager: Manager, digest: Digest, options: CallOptions = {}): Promise<boolean> {
  try {
    await manager.info(digest, options);
    return true;
  } catch (error) {
    if (hasCode(error, "ERR_NOT_FOUND")) return false;
    throw error;
  }
}
