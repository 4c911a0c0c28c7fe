import { CodedError } from "@varve/errors";
import { archiveError, entryError } from "./entry-error.ts";
import { isEntryType, PendingEntry } from "./pending-entry.ts";
import type { TarEntry } from "./tar-entry.ts";
import { blockBytes, isZeroBlock, parseHeader, type RawHeader } from "./tar-header.ts";
import { parseGnuPieces, SparseMapText, type SparsePiece } from "./tar-sparse.ts";

/** Takes what a reader finds, in the order of the archive. What it throws comes out of `write`. */
export interface TarHandler {
  entry(entry: TarEntry): void;
  /** The next stretch of the entry's content, valid during the call only, and where in the file it belongs. */
  data(bytes: Uint8Array, position: number): void;
  /** The entry is complete. What `data` did not give of a sparse file are zeros. */
  done(): void;
}

export interface TarReaderOptions {
  /** Largest extended header or sparse map, in bytes. Default 1 MiB. */
  readonly headerBytes?: number | undefined;
}

/** Reads an archive as its bytes come in. */
export interface TarReader {
  /** @throws ERR_INVALID_DATA and others of `createTarReader`; the reader cannot be used afterwards */
  write(block: Uint8Array): void;
  /** @throws ERR_INVALID_DATA the archive ends too early */
  end(): void;
}

/**
 * Makes a strict reader of tar archives: v7, ustar, pax (local headers; global ones are ignored), GNU long names, base-256
 * numbers, sparse files. Two readers can only be fooled into seeing different entries where they guess, so this one does not:
 * numbers must be numbers, checksums must be right, and what follows the end mark is not read.
 *
 * @throws ERR_INVALID_DATA (from `write` and `end`) the archive is malformed or ends too early
 * @throws ERR_RESOURCE_EXHAUSTED (from `write`) an extended header is larger than `headerBytes`
 * @throws ERR_NOT_IMPLEMENTED (from `write`) an entry of an unknown type
 */
export function createTarReader(handler: TarHandler, options: TarReaderOptions = {}): TarReader {
  return new Reader(handler, options.headerBytes ?? 1024 * 1024);
}

type State = "body" | "end" | "gnu-map" | "header" | "meta" | "pax-map";

const metaTypes = new Set(["K", "L", "x"]);

class Reader implements TarReader {
  readonly #handler: TarHandler;
  readonly #headerBytes: number;
  readonly #partial: Buffer = Buffer.alloc(blockBytes);
  #have = 0;
  /** Bytes read so far, up to the step that is being taken. */
  #offset = 0;
  #state: State = "header";
  /** Bytes to pass over before the state goes on. */
  #skip = 0;
  #zeroBlock = false;
  #pending = new PendingEntry();
  /** An extended header that is being collected. */
  #meta: Buffer = Buffer.alloc(0);
  #metaType = "";
  #header: RawHeader | undefined;
  /** Bytes of content still to come from the archive, padding not counted. */
  #stored = 0;
  #padding = 0;
  #pieces: SparsePiece[] = [];
  #piece = 0;
  #inPiece = 0;
  #mapText = new SparseMapText();

  constructor(handler: TarHandler, headerBytes: number) {
    this.#handler = handler;
    this.#headerBytes = headerBytes;
  }

  write(block: Uint8Array): void {
    const bytes = Buffer.from(block.buffer, block.byteOffset, block.byteLength);
    for (let at = 0; at < bytes.length && this.#state !== "end";) {
      const taken = this.#step(bytes, at);
      at += taken;
      this.#offset += taken;
    }
  }

  end(): void {
    const between = this.#state === "header" && this.#have === 0 && this.#skip === 0 && this.#pending.isEmpty;
    if (this.#state !== "end" && !between) throw archiveError(this.#offset, "the archive ends too early");
  }

  /** Takes some of the bytes from `at` on, and returns how many. */
  #step(bytes: Buffer, at: number): number {
    if (this.#skip > 0) {
      const length = Math.min(this.#skip, bytes.length - at);
      this.#skip -= length;
      return length;
    }
    if (this.#state === "body") return this.#body(bytes, at);
    if (this.#state === "meta") return this.#collectMeta(bytes, at);
    if (this.#have === 0 && bytes.length - at >= blockBytes) {
      this.#block(bytes.subarray(at, at + blockBytes));
      return blockBytes;
    }
    const length = bytes.copy(this.#partial, this.#have, at, at + blockBytes - this.#have);
    this.#have += length;
    if (this.#have === blockBytes) {
      this.#have = 0;
      this.#block(this.#partial);
    }
    return length;
  }

  #block(block: Buffer): void {
    if (this.#state === "gnu-map") this.#gnuMap(block);
    else if (this.#state === "pax-map") this.#paxMap(block);
    else if (isZeroBlock(block)) this.#zero();
    else if (this.#zeroBlock) throw archiveError(this.#offset, "an entry follows a block of zeros");
    else {
      const header = parseHeader(block);
      if (typeof header === "string") throw archiveError(this.#offset, header);
      this.#take(header, block);
    }
  }

  #zero(): void {
    if (!this.#pending.isEmpty) throw archiveError(this.#offset, "an extended header belongs to no entry");
    if (this.#zeroBlock) this.#state = "end";
    this.#zeroBlock = true;
  }

  #take(header: RawHeader, block: Buffer): void {
    if (header.type === "g") {
      this.#skip = padded(header.size);
    } else if (metaTypes.has(header.type)) {
      this.#mustBeSmall(header.size);
      this.#pending.startsAt(this.#offset);
      this.#metaType = header.type;
      this.#meta = Buffer.alloc(header.size);
      this.#state = "meta";
      if (header.size === 0) this.#endMeta();
    } else this.#startEntry(header, block);
  }

  #collectMeta(bytes: Buffer, at: number): number {
    const length = bytes.copy(this.#meta, this.#have, at, at + this.#meta.length - this.#have);
    this.#have += length;
    if (this.#have === this.#meta.length) this.#endMeta();
    return length;
  }

  #endMeta(): void {
    this.#have = 0;
    this.#skip = padded(this.#meta.length) - this.#meta.length;
    this.#state = "header";
    const problem = this.#pending.add(this.#metaType, this.#meta);
    if (problem !== undefined) throw archiveError(this.#offset, problem);
  }

  #startEntry(header: RawHeader, block: Buffer): void {
    if (!isEntryType(header.type)) {
      const why = `at byte ${this.#offset}: type ${JSON.stringify(header.type)} is not supported`;
      throw entryError("ERR_NOT_IMPLEMENTED", this.#pending.nameOf(header), why);
    }
    this.#pending.startsAt(this.#offset);
    this.#stored = this.#pending.storedSize(header);
    this.#header = header;
    this.#pieces = [];
    if (header.type === "S") {
      this.#addPieces(parseGnuPieces(block, 386, 4));
      this.#pending.setSparseSize(block, 483);
      if (block[482] === 0) this.#emit();
      else this.#state = "gnu-map";
    } else if (this.#pending.hasMapInBody(header)) {
      this.#mapText = new SparseMapText();
      this.#state = "pax-map";
    } else {
      this.#addPieces(this.#pending.mapInHeader());
      this.#emit();
    }
  }

  #gnuMap(block: Buffer): void {
    this.#addPieces(parseGnuPieces(block, 0, 21));
    this.#mustBeSmall(this.#pieces.length * 24);
    if (block[504] === 0) this.#emit();
  }

  #paxMap(block: Buffer): void {
    const map = this.#mapText.add(block);
    this.#mustBeSmall(this.#mapText.blocks * blockBytes);
    if (map === undefined) return;
    this.#stored -= this.#mapText.blocks * blockBytes;
    this.#addPieces(map === false ? undefined : map);
    this.#emit();
  }

  #addPieces(pieces: SparsePiece[] | undefined): void {
    if (pieces === undefined) throw archiveError(this.#offset, "a sparse file has a malformed map");
    this.#pieces.push(...pieces);
  }

  #emit(): void {
    if (this.#header === undefined) throw new CodedError("ERR_INTERNAL", "tar reader: entry without a header");
    const result = this.#pending.build(this.#header, this.#stored, this.#pieces);
    if (typeof result === "string") {
      throw entryError("ERR_INVALID_DATA", this.#pending.nameOf(this.#header), `at byte ${this.#offset}: ${result}`);
    }
    this.#pending = new PendingEntry();
    this.#pieces = result.pieces;
    this.#piece = 0;
    this.#inPiece = 0;
    this.#padding = padded(this.#stored) - this.#stored;
    this.#state = this.#stored > 0 ? "body" : "header";
    this.#handler.entry(result.entry);
    if (this.#stored === 0) this.#handler.done();
  }

  #body(bytes: Buffer, at: number): number {
    const piece = this.#pieces[this.#piece];
    if (piece === undefined) throw new CodedError("ERR_INTERNAL", "tar reader: content beyond the map");
    const length = Math.min(bytes.length - at, piece.length - this.#inPiece);
    if (length > 0) this.#handler.data(bytes.subarray(at, at + length), piece.offset + this.#inPiece);
    this.#inPiece += length;
    this.#stored -= length;
    if (this.#inPiece === piece.length) {
      this.#piece += 1;
      this.#inPiece = 0;
    }
    if (this.#stored === 0) {
      this.#skip = this.#padding;
      this.#state = "header";
      this.#handler.done();
    }
    return length;
  }

  #mustBeSmall(size: number): void {
    if (size <= this.#headerBytes) return;
    const why = `an extended header of ${size} bytes: more than the limit headerBytes (${this.#headerBytes})`;
    throw archiveError(this.#offset, why, "ERR_RESOURCE_EXHAUSTED");
  }
}

function padded(size: number): number {
  return Math.ceil(size / blockBytes) * blockBytes;
}
