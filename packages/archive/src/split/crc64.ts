/**
 * The CRC-64 of ISO 3309 (reflected, polynomial x^64 + x^4 + x^3 + x + 1, all ones before and after), as Go's `hash/crc64` has it.
 *
 * The polynomial has its few terms at the low end, so 32 bits that leave the register come back as four shifted copies of
 * themselves: this needs no tables and takes a word at a time.
 */
export class Crc64 {
  #low = -1;
  #high = -1;

  reset(): void {
    this.#low = -1;
    this.#high = -1;
  }

  update(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let low = this.#low;
    let high = this.#high;
    const pairs = bytes.length - (bytes.length % 8);
    for (let at = 0; at < pairs; at += 8) {
      let word = low ^ view.getInt32(at, true);
      low = high ^ (word << 31) ^ (word << 29) ^ (word << 28);
      high = word ^ (word >>> 1) ^ (word >>> 3) ^ (word >>> 4);
      word = low ^ view.getInt32(at + 4, true);
      low = high ^ (word << 31) ^ (word << 29) ^ (word << 28);
      high = word ^ (word >>> 1) ^ (word >>> 3) ^ (word >>> 4);
    }
    for (let at = pairs; at < bytes.length; at += 1) {
      const byte = (low ^ view.getUint8(at)) << 24;
      low = (low >>> 8) | (high << 24);
      high = (high >>> 8) ^ byte ^ (byte >>> 1) ^ (byte >>> 3) ^ (byte >>> 4);
    }
    this.#low = low;
    this.#high = high;
  }

  /** The eight bytes of the sum, the highest first. */
  sum(): Buffer {
    const sum = Buffer.allocUnsafe(8);
    sum.writeInt32BE(~this.#high, 0);
    sum.writeInt32BE(~this.#low, 4);
    return sum;
  }
}
