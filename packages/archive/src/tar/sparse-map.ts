import { overLimit, Refusal } from "../entry-error.ts";
import type { SparseRecords } from "./sparse-records.ts";
import type { OpenEntry } from "./open-entry.ts";
import { blockBytes } from "./tar-header.ts";
import { parseNumber } from "./tar-numbers.ts";
import { fit, parseGnuPieces, SparseMapText, type SparsePiece } from "./tar-sparse.ts";

/** The map of a sparse file, which may go on in the blocks after its header. */
export class SparseMap {
  /** Bytes of the file, holes counted. */
  readonly size: number;
  readonly #pieces: SparsePiece[] = [];
  /** If set, the map is text at the start of the content (pax format 1.0); if not, it is in blocks of old GNU tar. */
  readonly #text: SparseMapText | undefined;
  readonly #mostBytes: number;
  #blocks = 0;
  #isComplete = false;

  private constructor(size: number, text: SparseMapText | undefined, mostBytes: number) {
    this.size = size;
    this.#text = text;
    this.#mostBytes = mostBytes;
  }

  /** That of an old GNU header, the block at `start`. */
  static ofHeader(block: Buffer, start: number, records: SparseRecords | undefined, mostBytes: number): SparseMap {
    if (records !== undefined) throw new Refusal("sparse-map", "a sparse file has two maps");
    const size = parseNumber(block, start + 483, 12);
    if (size === undefined || size < 0) throw new Refusal("header-number", "header has a wrong size of a sparse file");
    const map = new SparseMap(size, undefined, mostBytes);
    map.#add(parseGnuPieces(block, start + 386, 4));
    map.#isComplete = block[start + 482] === 0;
    return map;
  }

  /** That of an extended header. */
  static ofRecords({ size, map: pieces }: SparseRecords, { type }: OpenEntry, mostBytes: number): SparseMap {
    if (type !== "file") throw new Refusal("sparse-map", "only a file can be sparse");
    if (pieces === undefined) return new SparseMap(size, new SparseMapText(), mostBytes);
    const map = new SparseMap(size, undefined, mostBytes);
    map.#add(pieces);
    map.#isComplete = true;
    return map;
  }

  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** Bytes of the content that were the map. */
  get textBytes(): number {
    return this.#text === undefined ? 0 : this.#blocks * blockBytes;
  }

  /** Takes the next block. @throws ERR_RESOURCE_EXHAUSTED the map is too large */
  take(block: Buffer, start: number): void {
    this.#blocks += 1;
    if (this.#blocks * blockBytes > this.#mostBytes) throw overLimit("headerBytes", this.#mostBytes);
    if (this.#text === undefined) {
      this.#add(parseGnuPieces(block, start, 21));
      this.#isComplete = block[start + 504] === 0;
      return;
    }
    const pieces = this.#text.add(block, start);
    if (pieces === undefined) return;
    this.#add(pieces === false ? undefined : pieces);
    this.#isComplete = true;
  }

  /** Where the bytes go that are stored: `stored` in all. */
  pieces(stored: number): readonly SparsePiece[] {
    if (!fit(this.#pieces, this.size, stored)) {
      throw new Refusal("sparse-map", "map of the sparse file does not fit");
    }
    return this.#pieces.filter(({ length }) => length > 0);
  }

  #add(pieces: readonly SparsePiece[] | undefined): void {
    if (pieces === undefined) throw new Refusal("sparse-map", "a sparse file has a malformed map");
    for (const piece of pieces) this.#pieces.push(piece);
  }
}
