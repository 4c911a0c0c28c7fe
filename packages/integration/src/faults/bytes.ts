import { createHash } from "node:crypto";
import { parseDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";

/** A blob as a scenario writes it: the same bytes in every process. */
export interface TestBlob {
  readonly bytes: Uint8Array;
  readonly expected: { readonly digest: Digest; readonly size: number };
}

/** Bytes that look random and hang on nothing but the arguments. */
export function testBlob(seed: string, size: number, algorithm: "sha256" | "sha512" = "sha256"): TestBlob {
  // Node warns of extendable hashes of length 0.
  const bytes = size === 0 ? Buffer.alloc(0) : createHash("shake256", { outputLength: size }).update(seed).digest();
  const digest = parseDigest(`${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`);
  return { bytes, expected: { digest, size } };
}
