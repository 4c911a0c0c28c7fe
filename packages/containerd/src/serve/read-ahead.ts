import type { BlobReader, CallOptions } from "@varve/content";

/** Eight of the pieces that upstream asks for. */
const reach = 256 * 1024;

/** Reads a blob in pieces; of those that follow each other, many with one read of the store. Reads may run at the same time. */
export class ReadAhead {
  readonly #reader: BlobReader;
  /** The bytes of the blob from one position to another. */
  #held: { readonly bytes: Uint8Array; readonly from: number; readonly to: number } | undefined;
  /** Where the last piece ended. */
  #next = 0;

  constructor(reader: BlobReader) {
    this.#reader = reader;
  }

  get size(): number {
    return this.#reader.size;
  }

  /** As `BlobReader.read`. */
  async read(target: Uint8Array, position: number, options: CallOptions): Promise<number> {
    const size = Math.min(target.byteLength, this.size - position);
    const isNext = position === this.#next;
    this.#next = position + size;
    if (this.#copy(target, position, size)) return size;
    const ahead = Math.min(reach, this.size - position);
    if (!isNext || ahead < 2 * size) return this.#reader.read(target, position, options);
    const bytes = this.#held?.bytes ?? Buffer.allocUnsafeSlow(Math.min(reach, this.size));
    // It is nobody else's until it is filled, and never again if that fails: the store may go on to write there.
    this.#held = undefined;
    const count = await this.#reader.read(bytes.subarray(0, ahead), position, options);
    this.#held = { bytes, from: position, to: position + count };
    return this.#copy(target, position, size) ? size : this.#reader.read(target, position, options);
  }

  #copy(target: Uint8Array, position: number, size: number): boolean {
    if (this.#held === undefined) return false;
    const { bytes, from, to } = this.#held;
    if (position < from || position + size > to) return false;
    target.set(bytes.subarray(position - from, position - from + size));
    return true;
  }
}
