import type { SparsePiece } from "../tar/tar-sparse.ts";
import { dataRanges, readContent } from "./file-content.ts";
import { type FileEntry, pathOf } from "./tree-entry.ts";
import { changedMeanwhile } from "./tree-error.ts";

/** Zeros are left out in whole units of this size, at multiples of it. */
const unit = 64 * 1024;
const zeros: Buffer = Buffer.alloc(unit);
/** More make a map that other readers refuse. */
const mostPieces = 4096;

/**
 * Finds what of a file is not zeros. The answer is the same wherever the file lies: where a filesystem has holes only saves
 * reading there.
 */
export class ZeroFinder {
  readonly #check: () => void;
  #buffer: Buffer | undefined;

  /** @param check called for each unit that is read; may throw */
  constructor(check: () => void) {
    this.#check = check;
  }

  /** What is left of an open file without its zeros; `undefined` if next to nothing can be left out. */
  pieces(fd: number, entry: FileEntry): readonly SparsePiece[] | undefined {
    const { size } = entry.stat;
    if (size < unit) return undefined;
    const found = new Pieces();
    let seen = 0;
    for (const { offset, length } of dataRanges(fd, entry.stat)) {
      for (let at = Math.max(seen, offset - (offset % unit)); at < offset + length; at += unit) {
        this.#check();
        const most = Math.min(unit, size - at);
        if (!this.#isZero(fd, entry, at, most)) found.add(at, most);
        seen = at + unit;
      }
    }
    return size - found.bytes < unit ? undefined : found.all;
  }

  #isZero(fd: number, entry: FileEntry, offset: number, length: number): boolean {
    this.#buffer ??= Buffer.allocUnsafeSlow(unit);
    for (let have = 0; have < length;) {
      const target = this.#buffer.subarray(have, length);
      const count = readContent(fd, entry, target, offset + have);
      if (count === 0) throw changedMeanwhile(pathOf(entry), "became shorter");
      have += count;
    }
    return this.#buffer.compare(zeros, 0, length, 0, length) === 0;
  }
}

/** A bounded number of pieces: when there are too many, the shortest gaps are given up. */
class Pieces {
  /** Lengths are changed as pieces grow. */
  #pieces: { readonly offset: number; length: number }[] = [];
  /** The longest gap that is not worth a piece of its own. */
  #gap = 0;

  get all(): readonly SparsePiece[] {
    return this.#pieces;
  }

  get bytes(): number {
    return this.#pieces.reduce((sum, { length }) => sum + length, 0);
  }

  add(offset: number, length: number): void {
    const last = this.#pieces.at(-1);
    if (last !== undefined && offset - last.offset - last.length <= this.#gap) {
      last.length = offset + length - last.offset;
      return;
    }
    this.#pieces.push({ offset, length });
    while (this.#pieces.length > mostPieces) this.#widen();
  }

  #widen(): void {
    const before = this.#pieces;
    this.#gap = Math.max(unit, 2 * this.#gap);
    this.#pieces = [];
    for (const { offset, length } of before) this.add(offset, length);
  }
}
