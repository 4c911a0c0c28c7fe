import { parseDecimal, parseNumber } from "./tar-numbers.ts";

/** One stretch of a sparse file that has data. */
export interface SparsePiece {
  readonly offset: number;
  readonly length: number;
}

/** Entries of an old GNU header or of one of its extension blocks; `undefined` if a number is wrong. */
export function parseGnuPieces(block: Buffer, start: number, count: number): SparsePiece[] | undefined {
  const pieces: SparsePiece[] = [];
  for (let at = start; at < start + count * 24; at += 24) {
    if (block[at] === 0) break;
    const offset = parseNumber(block, at, 12);
    const length = parseNumber(block, at + 12, 12);
    if (offset === undefined || length === undefined) return undefined;
    pieces.push({ offset, length });
  }
  return pieces;
}

/** Pairs of decimal numbers, as pax formats 0.0, 0.1 and 1.0 have them. */
export function parsePairs(numbers: readonly string[]): SparsePiece[] | undefined {
  if (numbers.length % 2 !== 0) return undefined;
  const pieces: SparsePiece[] = [];
  for (let at = 0; at < numbers.length; at += 2) {
    const offset = parseDecimal(numbers[at] ?? "");
    const length = parseDecimal(numbers[at + 1] ?? "");
    if (offset === undefined || length === undefined) return undefined;
    pieces.push({ offset, length });
  }
  return pieces;
}

/** Whether the pieces are in order, do not overlap, lie inside `size`, and hold just the `stored` bytes. */
export function fit(pieces: readonly SparsePiece[], size: number, stored: number): boolean {
  let end = 0;
  let sum = 0;
  for (const { offset, length } of pieces) {
    if (offset < end || length < 0 || offset + length > size) return false;
    end = offset + length;
    sum += length;
  }
  return sum === stored;
}

/**
 * Collects the map at the start of the content, format 1.0: a count and as many pairs, one decimal number a line,
 * padded to whole blocks.
 */
export class SparseMapText {
  readonly #numbers: string[] = [];
  #line = "";

  /** Takes one block; the map when it is complete, `false` when it is malformed, `undefined` to go on. */
  add(block: Buffer, start: number): SparsePiece[] | false | undefined {
    const lines = (this.#line + block.toString("latin1", start, start + 512)).split("\n");
    for (let at = 0; at < lines.length - 1; at += 1) {
      this.#numbers.push(lines[at] ?? "");
      const count = parseDecimal(this.#numbers[0] ?? "");
      if (count === undefined) return false;
      if (this.#numbers.length === 1 + 2 * count) return parsePairs(this.#numbers.slice(1)) ?? false;
    }
    this.#line = lines.at(-1) ?? "";
    return this.#line.length > 20 ? false : undefined;
  }
}
