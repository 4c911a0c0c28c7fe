import { sign } from "./headers-of.ts";

const blockBytes = 512;
/** Fields of a header that a change soon makes wrong: where they start, and how long they are. */
const numbers: readonly (readonly [at: number, length: number])[] = [
  [100, 7],
  [108, 7],
  [116, 7],
  [124, 11],
  [136, 11],
  [156, 1],
  [156, 1],
  [156, 1],
  [257, 8],
  [329, 14],
  [386, 126],
  [0, 512],
];
/** Those that may say anything: name, target of a link, prefix. */
const texts: readonly (readonly [at: number, length: number])[] = [
  [0, 100],
  [0, 30],
  [157, 100],
  [157, 30],
  [345, 155],
];
/** Bytes that mean something where they stand. */
const telling = Buffer.from("\0 ./0127.wh.opq=\n\u{80}\u{ff}xgLKSVD35641", "latin1");
/** Pieces that mean something together. */
const pieces = [
  "../",
  "/",
  ".wh.",
  ".wh..wh..opq",
  "./",
  "a/../",
  "a",
  "\0",
  "..",
  "77777777777",
  "\u{80}\0\0\0\0\0\0\u{7f}",
];

/** Changes archives, the same way for the same numbers. */
export class Mutator {
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** Changes bytes in every few blocks, and tells how many. Most checksums are made right again, so that the reader goes on. */
  mutate(archive: Buffer): number {
    let changed = 0;
    const [every, daring] = [1 + this.#below(12), this.#below(40)];
    for (let at = 0; at + blockBytes <= archive.length; at += blockBytes) {
      if (this.#below(every) !== 0) continue;
      const block = archive.subarray(at, at + blockBytes);
      // Not those of extended headers: they have no checksum.
      const isHeader = block.toString("latin1", 257, 262) === "ustar";
      if (this.#below(40) < daring) changed += this.#change(block, numbers);
      else for (let count = 1 + this.#below(24); count > 0; count -= 1) changed += this.#change(block, texts);
      if (isHeader && this.#below(200) !== 0) sign(block);
    }
    return changed;
  }

  #change(block: Buffer, fields: typeof texts): number {
    const [start, length] = fields[this.#below(fields.length)] ?? [0, blockBytes];
    const at = start + this.#below(length);
    if (fields === texts && this.#below(8) === 0) {
      const piece = pieces[this.#below(pieces.length)] ?? "";
      return block.write(piece, at, Math.min(piece.length, start + length - at), "latin1");
    }
    // Mostly another digit where a digit was.
    if (fields === numbers && length < 30 && length > 1 && this.#below(4) !== 0) block[at] = 0x30 + this.#below(8);
    else block[at] = this.#below(3) === 0 ? this.#below(256) : (telling[this.#below(telling.length)] ?? 0);
    return 1;
  }

  #below(count: number): number {
    return Math.floor(this.#random() * count);
  }
}
