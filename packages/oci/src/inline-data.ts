import { digestAlgorithm, digestOf, parseDigest } from "@varve/digest";
import type { Descriptor } from "./descriptor.ts";

/**
 * The bytes a descriptor carries itself, if size and digest are right; otherwise `undefined`, and they are to be had
 * where blobs are kept (U-CS.7).
 *
 * @throws ERR_INVALID_ARGUMENT the digest is malformed
 */
export function useInlineData(descriptor: Descriptor): Uint8Array | undefined {
  const algorithm = digestAlgorithm(parseDigest(descriptor.digest));
  if (descriptor.data === undefined) return undefined;
  const bytes = Buffer.from(descriptor.data, "base64");
  if (bytes.byteLength !== descriptor.size) return undefined;
  return digestOf(bytes, algorithm) === descriptor.digest ? new Uint8Array(bytes) : undefined;
}
