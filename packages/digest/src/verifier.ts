import { CodedError } from "@varve/errors";
import { digestAlgorithm } from "./digest.ts";
import type { Digest } from "./digest.ts";
import { createDigester } from "./digester.ts";
import type { Digester } from "./digester.ts";

/** Compares bytes, as they come, with the digest and size they should have. */
export interface Verifier {
  /**
   * Takes the next bytes.
   *
   * @throws ERR_DIGEST_MISMATCH there are more bytes than the size allows; they are not taken
   */
  update(bytes: Uint8Array): this;
  /**
   * To be called when all bytes were given.
   *
   * @throws ERR_DIGEST_MISMATCH size or digest is another; the message names both
   */
  verify(): void;
  /** Bytes taken so far. */
  readonly size: number;
}

/** Starts a verifier for `expected`, and for exactly `size` bytes if a size is known. */
export function createVerifier(expected: Digest, size?: number): Verifier {
  return new DigestVerifier(expected, size);
}

/**
 * Passes `source` on unchanged and throws ERR_DIGEST_MISMATCH instead of ending when the bytes were not what `expected`
 * and `size` say. With a size it throws before passing on a chunk that goes beyond it, so an endless source ends.
 * Until the stream has ended, what was passed on is not verified.
 */
export async function* verifyStream(
  source: AsyncIterable<Uint8Array>,
  expected: Digest,
  size?: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  const verifier = createVerifier(expected, size);
  for await (const chunk of source) {
    verifier.update(chunk);
    yield chunk;
  }
  verifier.verify();
}

class DigestVerifier implements Verifier {
  readonly #expected: Digest;
  readonly #wanted: number | undefined;
  readonly #digester: Digester;

  constructor(expected: Digest, size: number | undefined) {
    this.#expected = expected;
    this.#wanted = size;
    this.#digester = createDigester(digestAlgorithm(expected));
  }

  get size(): number {
    return this.#digester.size;
  }

  update(bytes: Uint8Array): this {
    const total = this.#digester.size + bytes.byteLength;
    if (this.#wanted !== undefined && total > this.#wanted) {
      throw this.#mismatch(`at least ${total} bytes, expected ${this.#wanted}`);
    }
    this.#digester.update(bytes);
    return this;
  }

  verify(): void {
    if (this.#wanted !== undefined && this.size !== this.#wanted) {
      throw this.#mismatch(`${this.size} bytes, expected ${this.#wanted}`);
    }
    const actual = this.#digester.digest();
    if (actual !== this.#expected) throw this.#mismatch(`the ${this.size} bytes have digest ${actual}`);
  }

  #mismatch(why: string): CodedError {
    return new CodedError("ERR_DIGEST_MISMATCH", `content ${this.#expected}: ${why}`);
  }
}
