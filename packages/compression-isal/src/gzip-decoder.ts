import type { Decoder } from "@varve/compression";
import { CodedError } from "@varve/errors";
import type { IsalInflate } from "@varve/syscalls";
import { createGzipHeader } from "./gzip-header.ts";

/** Decodes any number of members and zero padding; takes `inflate` over and closes it. */
export function createGzipDecoder(inflate: IsalInflate, allocate: () => Uint8Array): Decoder {
  return new GzipDecoder(inflate, allocate);
}

class GzipDecoder implements Decoder {
  readonly compression = "gzip";
  readonly #allocate: () => Uint8Array;
  #inflate: IsalInflate | undefined;
  #header = createGzipHeader();
  #members = 0;
  #padding = false;

  constructor(inflate: IsalInflate, allocate: () => Uint8Array) {
    this.#inflate = inflate;
    this.#allocate = allocate;
  }

  *decode(chunk: Uint8Array): Iterable<Uint8Array> {
    const inflate = this.#open();
    let rest = chunk;
    // A full block may mean that more output waits inside, even when all input was taken.
    let full = false;
    while (rest.length > 0 || full) {
      if (!this.#header.complete) {
        rest = rest.subarray(this.#skipHeader(rest));
        continue;
      }
      const block = this.#allocate();
      const { taken, written, done } = this.#strictly(() => inflate.step(rest, block));
      rest = rest.subarray(taken);
      full = written > 0;
      if (written > 0) yield written === block.length ? block : block.subarray(0, written);
      if (done) {
        this.#next(inflate);
        full = false;
      } else if (taken === 0 && written === 0 && rest.length > 0) {
        throw this.#invalid("the decompressor takes no more input");
      }
    }
  }

  end(): Iterable<Uint8Array> {
    this.#open();
    if (this.#members === 0 || !this.#header.empty) throw this.#invalid("unexpected end of file");
    return [];
  }

  close(): void {
    this.#inflate?.close();
    this.#inflate = undefined;
  }

  /** Takes what is no compressed data: the header of the next member, or zeros when there is none. */
  #skipHeader(bytes: Uint8Array): number {
    if (this.#members > 0 && this.#header.empty && bytes[0] === 0) this.#padding = true;
    if (!this.#padding) return this.#strictly(() => this.#header.feed(bytes));
    if (bytes.some((byte) => byte !== 0)) throw this.#invalid("other bytes after the end");
    return bytes.length;
  }

  #next(inflate: IsalInflate): void {
    this.#members += 1;
    this.#header = createGzipHeader();
    inflate.reset();
  }

  #open(): IsalInflate {
    if (this.#inflate === undefined) throw new CodedError("ERR_FAILED_PRECONDITION", "gzip: decoder is closed");
    return this.#inflate;
  }

  #strictly<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw this.#invalid(error instanceof Error ? error.message : String(error), error);
    }
  }

  /** Nothing can be done with it after that. */
  #invalid(why: string, cause?: unknown): CodedError {
    this.close();
    return new CodedError("ERR_INVALID_DATA", `gzip: ${why}`, { cause });
  }
}
