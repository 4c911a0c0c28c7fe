import { parsePaxRecords, type PaxRecords } from "./pax-records.ts";
import type { TarEntry, TarTime, TarType } from "./tar-entry.ts";
import type { RawHeader } from "./tar-header.ts";
import { parseDecimal, parseNumber, parseTime } from "./tar-numbers.ts";
import { fit, parsePairs, type SparsePiece } from "./tar-sparse.ts";

const types: Readonly<Record<string, TarType>> = {
  "\0": "file",
  "0": "file",
  "7": "file",
  S: "file",
  "1": "hardlink",
  "2": "symlink",
  "3": "char",
  "4": "block",
  "5": "directory",
  "6": "fifo",
};

const none: ReadonlyMap<string, Buffer> = new Map();
const xattrPrefix = "SCHILY.xattr.";
/** All ones means "do not change" to the kernel. */
const maxId = 0xffff_fffe;

/** Whether a type flag stands for an entry (and not for an extended header, or something unknown). */
export function isEntryType(type: string): boolean {
  return types[type] !== undefined;
}

/** What an entry is made of: the extended headers before it, and then its own. */
export class PendingEntry {
  #offset: number | undefined;
  #pax: PaxRecords | undefined;
  #longName: Buffer | undefined;
  #longLink: Buffer | undefined;
  #sparseSize: number | undefined;
  #isSparse = false;

  get isEmpty(): boolean {
    return this.#offset === undefined;
  }

  startsAt(offset: number): void {
    this.#offset ??= offset;
  }

  /** Takes the content of an extended header; the answer is the reason when it is malformed. */
  add(type: string, content: Buffer): string | undefined {
    if (type === "x") {
      const records = parsePaxRecords(content);
      if (typeof records === "string") return records;
      this.#pax = records;
      return undefined;
    }
    const nul = content.indexOf(0);
    const text = nul < 0 ? content : content.subarray(0, nul);
    if (type === "L") this.#longName = text;
    else this.#longLink = text;
    return undefined;
  }

  /** Bytes of content that follow the header in the archive. Only files have any, whatever the headers say. */
  storedSize(header: RawHeader): number {
    if (types[header.type] !== "file" || this.#isOldDirectory(header)) return 0;
    const text = this.#pax?.values.get("size")?.toString("latin1");
    return text === undefined || text === "" ? header.size : (parseDecimal(text) ?? 0);
  }

  /** The real size in an old GNU sparse header. */
  setSparseSize(block: Buffer, start: number): void {
    this.#isSparse = true;
    this.#sparseSize = parseNumber(block, start, 12);
  }

  /** Sparse format 1.0 of GNU: the map is at the start of the content. */
  hasMapInBody(header: RawHeader): boolean {
    const values = this.#pax?.values;
    if (types[header.type] !== "file" || values?.get("GNU.sparse.major")?.toString("latin1") !== "1") return false;
    this.#isSparse = true;
    this.#sparseSize = parseDecimal(values.get("GNU.sparse.realsize")?.toString("latin1") ?? "");
    return values.get("GNU.sparse.minor")?.toString("latin1") === "0";
  }

  /** Sparse formats 0.0 and 0.1 of GNU: the map is in the extended header. */
  mapInHeader(): SparsePiece[] | undefined {
    if (this.#pax === undefined || this.#isSparse) return [];
    const { values, sparse } = this.#pax;
    const map = values.get("GNU.sparse.map")?.toString("latin1");
    if (map === undefined && sparse.length === 0 && !values.has("GNU.sparse.size")) return [];
    this.#isSparse = true;
    this.#sparseSize = parseDecimal(values.get("GNU.sparse.size")?.toString("latin1") ?? "");
    if (map === "") return [];
    return parsePairs(map === undefined ? sparse : map.split(","));
  }

  /** The entry and where its content goes; the answer is the reason when something is wrong with it. */
  build(header: RawHeader, stored: number, map: SparsePiece[]): { entry: TarEntry; pieces: SparsePiece[] } | string {
    const type = this.#isOldDirectory(header) ? "directory" : types[header.type];
    if (type === undefined) return "unknown type";
    const sparse = this.#isSparse && type === "file";
    const size = sparse ? this.#sparseSize : stored;
    if (size === undefined || size < 0 || stored < 0 || this.#hasWrongSize()) return "wrong size";
    if (sparse && !fit(map, size, stored)) return "map of the sparse file does not fit";
    const uid = this.#number("uid", header.uid);
    const gid = this.#number("gid", header.gid);
    if (!isId(uid) || !isId(gid)) return "owner out of range";
    const mtime = this.#time("mtime", { seconds: header.mtime, nanoseconds: 0 });
    const atime = this.#time(
      "atime",
      header.atime === undefined ? undefined : { seconds: header.atime, nanoseconds: 0 },
    );
    if (mtime === false || atime === false) return "wrong time";
    const entry: TarEntry = {
      type,
      size,
      uid,
      gid,
      atime,
      mode: header.mode,
      offset: this.#offset ?? 0,
      mtime: mtime ?? { seconds: 0, nanoseconds: 0 },
      name: this.#longName ?? this.#name(header, sparse),
      linkName: this.#longLink ?? this.#text("linkpath") ?? Buffer.from(header.linkName, "latin1"),
      deviceMajor: header.deviceMajor ?? -1,
      deviceMinor: header.deviceMinor ?? -1,
      xattrs: this.#xattrs(),
    };
    return { entry, pieces: sparse ? map.filter((piece) => piece.length > 0) : [{ offset: 0, length: stored }] };
  }

  /** The name, one character a byte. */
  nameOf(header: RawHeader): string {
    return (this.#longName ?? this.#name(header, this.#isSparse)).toString("latin1");
  }

  // Before ustar, directories were files whose name ends with a slash.
  #isOldDirectory(header: RawHeader): boolean {
    if (header.type !== "\0") return false;
    return (this.#longName ?? this.#name(header, false)).at(-1) === 0x2f;
  }

  #name(header: RawHeader, sparse: boolean): Buffer {
    const real = sparse ? this.#text("GNU.sparse.name") : undefined;
    return real ?? this.#text("path") ?? Buffer.from(header.name, "latin1");
  }

  // An empty value takes the record back, which leaves what the header says.
  #text(key: string): Buffer | undefined {
    const value = this.#pax?.values.get(key);
    return value === undefined || value.length === 0 ? undefined : value;
  }

  #number(key: string, inHeader: number): number | undefined {
    const text = this.#text(key);
    return text === undefined ? inHeader : parseDecimal(text.toString("latin1"));
  }

  #time(key: string, inHeader: TarTime | undefined): TarTime | false | undefined {
    const text = this.#text(key);
    return text === undefined ? inHeader : (parseTime(text.toString("latin1")) ?? false);
  }

  #hasWrongSize(): boolean {
    const text = this.#text("size");
    return text !== undefined && parseDecimal(text.toString("latin1")) === undefined;
  }

  #xattrs(): ReadonlyMap<string, Buffer> {
    if (this.#pax === undefined) return none;
    const found = new Map<string, Buffer>();
    for (const [key, value] of this.#pax.values) {
      if (key.startsWith(xattrPrefix)) found.set(key.slice(xattrPrefix.length), value);
    }
    return found;
  }
}

function isId(value: number | undefined): value is number {
  return value !== undefined && value >= 0 && value <= maxId;
}
