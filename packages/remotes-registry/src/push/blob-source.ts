import { createVerifier } from "@varve/digest";
import type { Verifier } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { Descriptor } from "@varve/oci";
import type { PushOptions } from "@varve/remotes";

// Small enough for progress to be seen on a slow line, and for its idle time to be renewed.
const maxStep = 256 * 1024;

interface Parked {
  readonly source: AsyncIterator<Uint8Array>;
  /** What was taken from it and not used. */
  readonly left: Uint8Array;
  readonly position: number;
}

/**
 * The bytes of one blob that is uploaded, in parts and as often as it takes. They are verified when they are used for the first
 * time, before the last one is handed out: an upload of wrong bytes is never complete.
 */
export class BlobSource {
  readonly #descriptor: Descriptor;
  readonly #body: PushOptions["body"];
  readonly #verifier: Verifier;
  #parked: Parked | undefined;
  #given = 0;

  /** @throws ERR_DIGEST_MISMATCH the descriptor is of no bytes, and its digest is not that of nothing */
  constructor(descriptor: Descriptor, body: PushOptions["body"]) {
    this.#descriptor = descriptor;
    this.#body = body;
    this.#verifier = createVerifier(descriptor.digest, descriptor.size);
    if (descriptor.size === 0) this.#verifier.verify();
  }

  /** All bytes up to here have been handed out at some time. */
  get used(): number {
    return this.#verifier.size;
  }

  /** Bytes handed out, those counted that were handed out several times. */
  get given(): number {
    return this.#given;
  }

  /**
   * Yields the bytes from `start` to `end`, exclusive. One part after the other is read from one body; anything else opens
   * another one.
   *
   * @throws ERR_DIGEST_MISMATCH these are not the bytes of the descriptor
   */
  async *part(start: number, end: number): AsyncGenerator<Uint8Array, void, undefined> {
    let { source, left, position } = await this.#sourceAt(start);
    let parked = false;
    try {
      while (position < end) {
        if (left.byteLength === 0) {
          const next = await source.next();
          if (next.done === true) throw this.#tooShort(position);
          left = next.value;
          continue;
        }
        const chunk = left.subarray(0, Math.min(maxStep, end - position));
        left = left.subarray(chunk.byteLength);
        this.#verify(chunk, position);
        position += chunk.byteLength;
        this.#given += chunk.byteLength;
        yield chunk;
      }
      this.#parked = { source, left, position };
      parked = true;
    } finally {
      if (!parked) await source.return?.();
    }
  }

  /** Closes what is open. */
  async close(): Promise<void> {
    const parked = this.#parked;
    this.#parked = undefined;
    await parked?.source.return?.();
  }

  async #sourceAt(start: number): Promise<Parked> {
    const parked = this.#parked;
    if (parked?.position === start) {
      this.#parked = undefined;
      return parked;
    }
    await this.close();
    return { source: this.#body(start)[Symbol.asyncIterator](), left: new Uint8Array(0), position: start };
  }

  #verify(chunk: Uint8Array, position: number): void {
    const seen = this.#verifier.size - position;
    if (seen >= chunk.byteLength) return;
    this.#verifier.update(seen > 0 ? chunk.subarray(seen) : chunk);
    if (this.#verifier.size === this.#descriptor.size) this.#verifier.verify();
  }

  #tooShort(position: number): CodedError {
    const { digest, size } = this.#descriptor;
    return new CodedError("ERR_DIGEST_MISMATCH", `content ${digest}: ${position} bytes, expected ${size}`);
  }
}
