import { defaultSubject, type Place, placed, Refusal } from "../entry-error.ts";
import { ContentPlaces } from "./content-places.ts";
import { ExtendedHeaders, isExtendedHeader } from "./extended-headers.ts";
import { completeEntry, openEntry, type OpenEntry } from "./open-entry.ts";
import { SparseMap } from "./sparse-map.ts";
import type { TarEntry } from "./tar-entry.ts";
import type { TarHandler, TarReader, TarReaderOptions } from "./tar-handler.ts";
import { blockBytes, isZeroBlock, parseHeader, type RawHeader } from "./tar-header.ts";
import type { SparsePiece } from "./tar-sparse.ts";

/**
 * Makes a strict reader of tar archives: v7, ustar, pax, GNU long names, base-256 numbers, sparse files. Two readers
 * can only be fooled into seeing different entries where they guess, so this one does not: numbers must be numbers, checksums
 * must be right, what is said twice must agree, and what follows the end mark is not read. `LayerRule` has all the reasons.
 * Global extended headers are ignored, as container engines do; those that would change entries are refused.
 *
 * @throws ERR_INVALID_DATA (from `write` and `end`) the archive is malformed or ends too early
 * @throws ERR_RESOURCE_EXHAUSTED (from `write`) an extended header is larger than `headerBytes`
 * @throws ERR_NOT_IMPLEMENTED (from `write`) an entry of an unknown type
 */
export function createTarReader(handler: TarHandler, options: TarReaderOptions = {}): TarReader {
  return new Reader(handler, options.headerBytes ?? 1024 * 1024, options.subject ?? defaultSubject);
}

type State = "body" | "end" | "extended" | "header" | "map";

/** Walks the blocks. What they say is for `ExtendedHeaders`, `openEntry` and `SparseMap`. */
class Reader implements TarReader {
  readonly #handler: TarHandler;
  readonly #headerBytes: number;
  readonly #subject: string;
  readonly #extended: ExtendedHeaders;
  /** A block that came in parts, as far as it is there. */
  readonly #partial: Buffer = Buffer.alloc(blockBytes);
  #have = 0;
  /** Bytes read so far, up to the step that is being taken. */
  #offset = 0;
  #state: State = "header";
  /** Bytes to pass over before the state goes on. */
  #skip = 0;
  #zeroBlock = false;
  /** Where the block is that is being taken, and where the one that was taken last as a header. */
  #blockAt = 0;
  #headerAt = 0;
  /** The header that is being taken, until its entry is known. */
  #header: RawHeader | undefined;
  /** A sparse file while its map is read. */
  #open: OpenEntry | undefined;
  #map: SparseMap | undefined;
  /** The entry whose content is being read. */
  #entry: TarEntry | undefined;
  /** Bytes of content still to come from the archive, padding not counted. */
  #stored = 0;
  #padding = 0;
  readonly #places = new ContentPlaces();

  constructor(handler: TarHandler, headerBytes: number, subject: string) {
    this.#handler = handler;
    this.#headerBytes = headerBytes;
    this.#subject = subject;
    this.#extended = new ExtendedHeaders(headerBytes);
  }

  write(block: Uint8Array): void {
    const bytes = Buffer.from(block.buffer, block.byteOffset, block.byteLength);
    try {
      for (let at = 0; at < bytes.length && this.#state !== "end";) {
        const taken = this.#step(bytes, at);
        at += taken;
        this.#offset += taken;
      }
    } catch (error) {
      throw error instanceof Refusal ? placed(error, this.#place()) : error;
    }
  }

  end(): void {
    const between = this.#state === "header" && this.#have === 0 && this.#skip === 0 && this.#extended.isEmpty;
    if (this.#state === "end" || between) return;
    const refusal = new Refusal("archive-end", "the archive ends too early");
    throw placed(refusal, { ...this.#place(), offset: this.#offset });
  }

  #place(): Place {
    const name = this.#header === undefined ? this.#entry?.name : this.#extended.anyName(this.#header);
    const offset = this.#extended.offset ?? this.#entry?.offset ?? this.#headerAt;
    return { subject: this.#subject, name: name?.toString("latin1"), offset };
  }

  /** Takes some of the bytes from `at` on, and returns how many. */
  #step(bytes: Buffer, at: number): number {
    if (this.#skip > 0) {
      const length = Math.min(this.#skip, bytes.length - at);
      this.#skip -= length;
      return length;
    }
    if (this.#state === "body") return this.#content(bytes, at);
    if (this.#state === "extended") return this.#collect(bytes, at);
    if (this.#have === 0) this.#blockAt = this.#offset;
    if (this.#have === 0 && bytes.length - at >= blockBytes) {
      this.#block(bytes, at);
      return blockBytes;
    }
    const length = bytes.copy(this.#partial, this.#have, at, at + blockBytes - this.#have);
    this.#have += length;
    if (this.#have === blockBytes) {
      this.#have = 0;
      this.#block(this.#partial, 0);
    }
    return length;
  }

  #block(bytes: Buffer, at: number): void {
    if (this.#state === "map") {
      this.#map?.take(bytes, at);
      return this.#endMap();
    }
    this.#headerAt = this.#blockAt;
    this.#entry = undefined;
    if (bytes[at] === 0 && isZeroBlock(bytes, at)) return this.#zero();
    if (this.#zeroBlock) throw new Refusal("end-mark", "an entry follows a block of zeros");
    const header = parseHeader(bytes, at);
    if (isExtendedHeader(header.type)) this.#startExtended(header);
    else this.#startEntry(header, bytes, at);
  }

  #zero(): void {
    if (!this.#extended.isEmpty) throw new Refusal("header-order", "an extended header belongs to no entry");
    if (this.#zeroBlock) {
      this.#state = "end";
      this.#handler.boundary?.(this.#blockAt + blockBytes);
    }
    this.#zeroBlock = true;
  }

  #startExtended(header: RawHeader): void {
    this.#extended.begin(header, this.#headerAt);
    if (header.type === "g") this.#handler.boundary?.(this.#blockAt + blockBytes + header.size);
    this.#padding = paddingOf(header.size);
    this.#state = "extended";
    if (header.size === 0) this.#endExtended();
  }

  #collect(bytes: Buffer, at: number): number {
    const length = this.#extended.take(bytes, at);
    this.#endExtended();
    return length;
  }

  #endExtended(): void {
    if (!this.#extended.finish()) return;
    this.#skip = this.#padding;
    this.#state = "header";
  }

  #startEntry(header: RawHeader, bytes: Buffer, at: number): void {
    this.#header = header;
    this.#extended.startsAt(this.#headerAt);
    const open = openEntry(header, this.#extended);
    const records = this.#extended.sparse;
    if (header.type !== "S" && records === undefined) return this.#emit(open, open.stored, open.stored);
    this.#open = open;
    if (header.type === "S") this.#map = SparseMap.ofHeader(bytes, at, records, this.#headerBytes);
    else if (records !== undefined) this.#map = SparseMap.ofRecords(records, open, this.#headerBytes);
    this.#state = "map";
    this.#endMap();
  }

  #endMap(): void {
    const [open, map] = [this.#open, this.#map];
    if (open === undefined || map?.isComplete !== true) return;
    const stored = open.stored - map.textBytes;
    const pieces = map.pieces(stored);
    this.#open = undefined;
    this.#map = undefined;
    this.#emit(open, map.size, stored, pieces);
  }

  /** Announces the entry. `pieces`: those of a sparse file. */
  #emit(open: OpenEntry, size: number, stored: number, pieces?: readonly SparsePiece[]): void {
    const entry = completeEntry(open, this.#extended, size);
    this.#header = undefined;
    this.#extended.clear();
    this.#entry = entry;
    this.#stored = stored;
    this.#padding = paddingOf(stored);
    this.#places.start(stored, pieces);
    this.#state = stored > 0 ? "body" : "header";
    this.#handler.boundary?.(this.#blockAt + blockBytes);
    this.#handler.entry(entry);
    if (stored === 0) this.#handler.done();
  }

  #content(bytes: Buffer, at: number): number {
    const length = this.#places.next(bytes.length - at);
    this.#handler.data(bytes.subarray(at, at + length), this.#places.position);
    this.#stored -= length;
    if (this.#stored === 0) {
      this.#skip = this.#padding;
      this.#state = "header";
      this.#handler.done();
    }
    return length;
  }
}

/** What fills the last block of `size` bytes. */
function paddingOf(size: number): number {
  const over = size % blockBytes;
  return over === 0 ? 0 : blockBytes - over;
}
