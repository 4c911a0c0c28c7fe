import { CodedError } from "@varve/errors";
import type { SparsePiece } from "./tar-sparse.ts";

const none: readonly SparsePiece[] = [];

/** Where in the file the next bytes of its content belong. */
export class ContentPlaces {
  #pieces: readonly SparsePiece[] = none;
  #piece = 0;
  #next = 0;
  #left = 0;
  #position = 0;

  /** A new file of `stored` bytes; `pieces` say where they go if it is sparse. */
  start(stored: number, pieces: readonly SparsePiece[] = none): void {
    this.#pieces = pieces;
    this.#piece = 0;
    this.#next = 0;
    this.#left = pieces.length === 0 ? stored : 0;
  }

  /** Where those go that `next` counted last. */
  get position(): number {
    return this.#position;
  }

  /** How many of the `available` bytes go to one place. */
  next(available: number): number {
    if (this.#left === 0) this.#nextPiece();
    const length = Math.min(available, this.#left);
    this.#position = this.#next;
    this.#next += length;
    this.#left -= length;
    return length;
  }

  #nextPiece(): void {
    const piece = this.#pieces[this.#piece];
    if (piece === undefined) throw new CodedError("ERR_INTERNAL", "tar reader: content beyond the map");
    this.#piece += 1;
    this.#next = piece.offset;
    this.#left = piece.length;
  }
}
