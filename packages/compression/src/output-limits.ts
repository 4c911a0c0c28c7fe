import { CodedError } from "@varve/errors";
import type { Decoder, DecoderLimits } from "./decoder.ts";

/** Up to here any ratio will do: an honest layer may hold a file of zeros, and so much harms nobody. */
const ratioCountsFrom = 1024 * 1024 * 1024;

/**
 * Stops a decoder before it gives more than it may.
 *
 * @throws ERR_INVALID_ARGUMENT a limit is no number above 0
 */
export function limitOutput(decoder: Decoder, limits: DecoderLimits): Decoder {
  const { maxBytes, maxRatio, maxWindow } = limits;
  for (const [name, limit] of Object.entries({ maxBytes, maxRatio, maxWindow })) {
    if (limit === undefined || limit > 0) continue;
    throw new CodedError("ERR_INVALID_ARGUMENT", `decoder: ${name} ${limit}: not above 0`);
  }
  if (maxBytes === undefined && maxRatio === undefined) return decoder;
  return new LimitedDecoder(decoder, maxBytes ?? Infinity, maxRatio ?? Infinity);
}

class LimitedDecoder implements Decoder {
  readonly #decoder: Decoder;
  readonly #maxBytes: number;
  readonly #maxRatio: number;
  #in = 0;
  #out = 0;

  constructor(decoder: Decoder, maxBytes: number, maxRatio: number) {
    this.#decoder = decoder;
    this.#maxBytes = maxBytes;
    this.#maxRatio = maxRatio;
  }

  get compression(): Decoder["compression"] {
    return this.#decoder.compression;
  }

  decode(chunk: Uint8Array): Iterable<Uint8Array> {
    this.#in += chunk.length;
    return this.#count(this.#decoder.decode(chunk));
  }

  end(): Iterable<Uint8Array> {
    return this.#count(this.#decoder.end());
  }

  close(): void {
    this.#decoder.close();
  }

  *#count(blocks: Iterable<Uint8Array>): Iterable<Uint8Array> {
    for (const block of blocks) {
      this.#out += block.length;
      if (this.#out > this.#maxBytes) throw this.#exhausted(`more than ${this.#maxBytes} bytes come out (maxBytes)`);
      if (this.#out > ratioCountsFrom && this.#out > this.#in * this.#maxRatio) {
        throw this.#exhausted(`${this.#out} bytes come out of ${this.#in} (maxRatio ${this.#maxRatio})`);
      }
      yield block;
    }
  }

  #exhausted(why: string): CodedError {
    return new CodedError("ERR_RESOURCE_EXHAUSTED", `${this.compression ?? "decoder"}: ${why}`);
  }
}
