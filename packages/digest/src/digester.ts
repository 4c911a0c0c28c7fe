import { createHash, hash } from "node:crypto";
import type { Hash } from "node:crypto";
import { parseDigest } from "./digest.ts";
import type { Digest, DigestAlgorithm } from "./digest.ts";

/** Hashes bytes as they come. */
export interface Digester {
  /** Takes the next bytes; they may be changed or reused once the call returns. */
  update(bytes: Uint8Array): this;
  /** The digest of the bytes so far. May be asked at any time, and more bytes may follow. */
  digest(): Digest;
  /** Bytes taken so far. */
  readonly size: number;
}

/** Starts a digester; without an algorithm sha256. Hashing runs on the calling thread. */
export function createDigester(algorithm: DigestAlgorithm = "sha256"): Digester {
  return new HashDigester(algorithm);
}

/** The digest of bytes that are in memory; a string is taken as UTF-8. Hashing runs on the calling thread. */
export function digestOf(bytes: Uint8Array | string, algorithm: DigestAlgorithm = "sha256"): Digest {
  return asDigest(algorithm, hash(algorithm, bytes, "hex"));
}

/** Reads `source` to its end and gives the digest of all its bytes. */
export async function digestStream(
  source: AsyncIterable<Uint8Array>,
  algorithm: DigestAlgorithm = "sha256",
): Promise<Digest> {
  const digester = createDigester(algorithm);
  for await (const chunk of source) digester.update(chunk);
  return digester.digest();
}

class HashDigester implements Digester {
  readonly #algorithm: DigestAlgorithm;
  readonly #hash: Hash;
  #size = 0;

  constructor(algorithm: DigestAlgorithm) {
    this.#algorithm = algorithm;
    this.#hash = createHash(algorithm);
  }

  get size(): number {
    return this.#size;
  }

  update(bytes: Uint8Array): this {
    this.#hash.update(bytes);
    this.#size += bytes.byteLength;
    return this;
  }

  digest(): Digest {
    // A hash can be finished only once; the copy is finished in its place.
    return asDigest(this.#algorithm, this.#hash.copy().digest("hex"));
  }
}

function asDigest(algorithm: DigestAlgorithm, hex: string): Digest {
  return parseDigest(`${algorithm}:${hex}`);
}
