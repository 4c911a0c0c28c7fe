const small = 4 * 1024;
const pieceSize = 64 * 1024;

/**
 * Bytes that wait to be handed on, first in, first out. Small pieces are copied together, since a piece costs far more memory
 * than a byte, and servers choose how small the pieces are.
 */
export class WaitingBytes {
  readonly #pieces: Uint8Array[] = [];
  /** The last piece, as long as it has room. */
  #open: Uint8Array | undefined;
  #filled = 0;

  push(chunk: Uint8Array): void {
    if (this.#filled + chunk.byteLength > (this.#open?.byteLength ?? 0)) this.#close();
    if (chunk.byteLength >= small) {
      this.#close();
      this.#pieces.push(chunk);
      return;
    }
    this.#open ??= new Uint8Array(pieceSize);
    this.#open.set(chunk, this.#filled);
    this.#filled += chunk.byteLength;
  }

  /** How many pieces there are. */
  get length(): number {
    return this.#pieces.length + (this.#open === undefined ? 0 : 1);
  }

  shift(): Uint8Array | undefined {
    if (this.#pieces.length === 0) this.#close();
    return this.#pieces.shift();
  }

  #close(): void {
    if (this.#open === undefined) return;
    const filled = this.#open.subarray(0, this.#filled);
    // What is mostly empty is not worth the room it takes.
    if (filled.byteLength > 0) this.#pieces.push(this.#filled < pieceSize / 2 ? filled.slice() : filled);
    this.#open = undefined;
    this.#filled = 0;
  }
}
