import { CodedError } from "@varve/errors";

/** Collects bytes in blocks of memory that somebody else gives, and hands on each that is full. */
export class BlockOutput {
  readonly #allocate: () => Uint8Array;
  readonly #most: number;
  #block: Uint8Array = new Uint8Array(0);
  #used = 0;
  #given = 0;

  constructor(allocate: (() => Uint8Array) | undefined, most: number) {
    if (!Number.isSafeInteger(most) || most < 1) {
      throw new CodedError("ERR_INVALID_ARGUMENT", `block size ${most}: not a positive whole number`);
    }
    const own = allocate === undefined ? Buffer.allocUnsafeSlow(most) : this.#block;
    this.#allocate = allocate ?? (() => own);
    this.#most = most;
  }

  /** Bytes so far. */
  get bytes(): number {
    return this.#given + this.#used;
  }

  /** The memory that is being filled, from `used` on. */
  get block(): Uint8Array {
    return this.#block;
  }

  get used(): number {
    return this.#used;
  }

  /** Bytes for which there is room; if none, see `makeRoom`. */
  get room(): number {
    return this.#block.length - this.#used;
  }

  /** Counts bytes that were put into the block directly. */
  add(length: number): void {
    this.#used += length;
  }

  /** Takes bytes, in full blocks as far as they do not fit. */
  *put(bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
    for (let at = 0; at < bytes.length;) {
      if (this.room === 0) yield* this.makeRoom();
      const length = Math.min(this.room, bytes.length - at);
      this.#block.set(bytes.subarray(at, at + length), this.#used);
      this.#used += length;
      at += length;
    }
  }

  *zeros(length: number): Generator<Uint8Array, void, undefined> {
    for (let rest = length; rest > 0;) {
      if (this.room === 0) yield* this.makeRoom();
      const part = Math.min(this.room, rest);
      this.#block.fill(0, this.#used, this.#used + part);
      this.#used += part;
      rest -= part;
    }
  }

  /** Hands on the block, and asks for another only when that was taken: it may have to wait for memory that comes back. */
  *makeRoom(): Generator<Uint8Array, void, undefined> {
    yield* this.flush();
    const block = this.#allocate();
    if (block.length === 0) throw new CodedError("ERR_INVALID_ARGUMENT", "allocate: gave a block of no bytes");
    this.#block = block.length > this.#most ? block.subarray(0, this.#most) : block;
  }

  /** Hands on what there is. */
  *flush(): Generator<Uint8Array, void, undefined> {
    if (this.#used > 0) yield this.#block.subarray(0, this.#used);
    this.#given += this.#used;
    this.#used = 0;
    this.#block = new Uint8Array(0);
  }
}
