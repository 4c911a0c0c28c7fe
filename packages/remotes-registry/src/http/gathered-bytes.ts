const firstRoom = 16 * 1024;

/**
 * Bytes that came in pieces. They are copied together, since a piece costs far more memory than a byte, and servers choose how
 * small the pieces are.
 */
export class GatheredBytes {
  #room: Buffer = Buffer.alloc(firstRoom);
  #size = 0;

  add(piece: Uint8Array): void {
    const size = this.#size + piece.byteLength;
    if (size > this.#room.byteLength) {
      const larger = Buffer.alloc(Math.max(size, 2 * this.#room.byteLength));
      larger.set(this.#room.subarray(0, this.#size));
      this.#room = larger;
    }
    this.#room.set(piece, this.#size);
    this.#size = size;
  }

  get size(): number {
    return this.#size;
  }

  /** All of them; nothing may be added afterwards. */
  whole(): Buffer {
    return this.#room.subarray(0, this.#size);
  }
}
