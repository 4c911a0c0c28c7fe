import { detectCompression, sniffLength } from "@varve/compression";
import type { Compression, DecoderLimits } from "@varve/compression";
import { CodedError } from "@varve/errors";
import type { BlockRing } from "./block-ring.ts";
import type { Place } from "./place.ts";

export interface SourcePumpOptions {
  /** How many bytes the source must give; not checked if absent. */
  readonly size?: number | undefined;
  /** What errors are about, such as `layer sha256:…`. */
  readonly subject: string;
  /** Called with the bytes that were taken so far. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
  /** Not kept busy while the source has nothing to give. */
  readonly place: Place;
}

/** Moves a layer's bytes from where they come from into a ring. */
export class SourcePump {
  readonly #iterator: AsyncIterator<Uint8Array>;
  readonly #options: SourcePumpOptions;
  #stopped: { readonly reason: unknown } | undefined;
  /** Wakes who waits for the source. */
  #wake: ((reason: unknown) => void) | undefined;
  #head: Uint8Array = new Uint8Array(0);
  #bytes = 0;
  #finished = false;

  constructor(source: AsyncIterable<Uint8Array>, options: SourcePumpOptions) {
    this.#iterator = source[Symbol.asyncIterator]();
    this.#options = options;
  }

  /** Takes the first bytes, which tell how the stream is compressed. */
  async compression(): Promise<Compression> {
    for (;;) {
      const chunk = await this.#next();
      if (chunk === undefined) break;
      // The common case copies nothing: the first chunk is long enough, and stays as it is until the next one is asked for.
      this.#head = this.#head.length === 0 ? chunk : Buffer.concat([this.#head, chunk]);
      if (this.#head.length >= sniffLength) break;
      this.#head = Uint8Array.from(this.#head);
    }
    return detectCompression(this.#head);
  }

  /** Moves everything, the first bytes too, and ends the ring. */
  async moveTo(ring: BlockRing, { maxBytes = Infinity }: DecoderLimits = {}): Promise<void> {
    const { onProgress, size, subject } = this.#options;
    let chunk: Uint8Array | undefined = this.#head;
    while (chunk !== undefined) {
      if (this.#bytes > maxBytes) {
        throw new CodedError("ERR_RESOURCE_EXHAUSTED", `${subject}: more than ${maxBytes} bytes (maxBytes)`);
      }
      await ring.put(chunk);
      onProgress?.(this.#bytes);
      chunk = await this.#next();
    }
    if (size !== undefined && this.#bytes < size) throw mismatch(subject, `${this.#bytes} bytes, expected ${size}`);
    ring.end();
  }

  /** Ends what is under way with `reason`, even while the source has nothing to give. */
  stop(reason: unknown): void {
    this.#stopped ??= { reason };
    this.#wake?.(reason);
  }

  /** Lets go of the source. Not awaited: a generator that waits for bytes would hold the end of the layer back until they come. */
  close(): void {
    if (this.#finished) return;
    this.#finished = true;
    void this.#iterator.return?.()?.then(undefined, () => undefined);
  }

  async #next(): Promise<Uint8Array | undefined> {
    if (this.#finished) return undefined;
    const { size, subject } = this.#options;
    const next = await this.#ask();
    if (next.done === true) {
      this.#finished = true;
      return undefined;
    }
    this.#bytes += next.value.length;
    // Said before a byte of what is too much is looked at.
    if (size !== undefined && this.#bytes > size) {
      throw mismatch(subject, `at least ${this.#bytes} bytes, expected ${size}`);
    }
    return next.value;
  }

  /** Not `Promise.race` with one promise of failure: that would keep something of each chunk until the layer ends. */
  #ask(): Promise<IteratorResult<Uint8Array, unknown>> {
    return new Promise((resolve, reject) => {
      this.#wake = reject;
      const { place } = this.#options;
      if (this.#stopped === undefined) place.outside(() => this.#iterator.next()).then(resolve, reject);
      else reject(this.#stopped.reason);
    });
  }
}

function mismatch(subject: string, why: string): CodedError {
  return new CodedError("ERR_DIGEST_MISMATCH", `${subject}: ${why}`);
}
