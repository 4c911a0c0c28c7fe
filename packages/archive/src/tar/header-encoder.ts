import type { TarTime, TarType } from "./tar-entry.ts";
import { blockBytes } from "./tar-header.ts";
import type { SparsePiece } from "./tar-sparse.ts";

/** What one entry's headers say. Strings have one character a byte; nothing is checked here. */
export interface HeaderFields {
  readonly name: string;
  readonly type: TarType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** What is stored of a sparse file. Absent: all of it. */
  readonly pieces?: readonly SparsePiece[] | undefined;
  readonly mtime: TarTime;
  readonly linkName: string;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
}

const flags: Readonly<Record<TarType, string>> = {
  file: "0",
  hardlink: "1",
  symlink: "2",
  char: "3",
  block: "4",
  directory: "5",
  fifo: "6",
};

/** Largest number of a field with eleven, and with seven octal digits. */
const most11 = 0o77_777_777_777;
const most7 = 0o7_777_777;

/**
 * Makes the headers of entries: ustar where it can say everything, else a pax extended header before it with only the records
 * that are needed, in a fixed order. Names are bytes in both; a pax name that is no UTF-8 is outside of POSIX, but is what
 * every reader on Linux takes as it is.
 */
export class HeaderEncoder {
  #buffer: Buffer = Buffer.alloc(4096);
  #used = 0;

  /** The header blocks of an entry, and of a sparse file its map. They are overwritten by the next call. */
  encode(fields: HeaderFields): Buffer {
    const map = mapOf(fields);
    const stored = map === undefined ? fields.size : map.length + storedBytes(fields);
    const split = map === undefined ? splitName(fields.name) : (["", sparseName] as const);
    this.#used = blockBytes;
    if (split === undefined) this.#text("path", fields.name);
    if (map !== undefined) this.#sparse(fields);
    this.#records(fields, stored);
    const records = this.#used - blockBytes;
    if (records === 0) this.#used = 0;
    else this.#extended(records);
    this.#header({ ...fields, size: stored }, split ?? ["", fields.name.slice(0, 100)]);
    if (map !== undefined) this.#map(map);
    return this.#buffer.subarray(0, this.#used);
  }

  #sparse({ name, size }: HeaderFields): void {
    this.#text("GNU.sparse.major", "1");
    this.#text("GNU.sparse.minor", "0");
    this.#text("GNU.sparse.name", name);
    this.#text("GNU.sparse.realsize", String(size));
  }

  #records(fields: HeaderFields, stored: number): void {
    if (fields.linkName.length > 100) this.#text("linkpath", fields.linkName);
    if (stored > most11) this.#text("size", String(stored));
    if (fields.uid > most7) this.#text("uid", String(fields.uid));
    if (fields.gid > most7) this.#text("gid", String(fields.gid));
    const { seconds, nanoseconds } = fields.mtime;
    if (nanoseconds !== 0 || seconds < 0 || seconds > most11) this.#text("mtime", paxTime(fields.mtime));
    if (fields.xattrs.size > 0) this.#xattrs(fields.xattrs);
  }

  #map(map: Buffer): void {
    this.#room(map.length);
    map.copy(this.#buffer, this.#used);
    this.#used += map.length;
  }

  // In the order of the bytes of the names, for the system lists them in any order.
  #xattrs(xattrs: ReadonlyMap<string, Uint8Array>): void {
    for (const key of [...xattrs.keys()].toSorted()) this.#record(`SCHILY.xattr.${key}`, xattrs.get(key) ?? none);
  }

  #text(key: string, value: string): void {
    this.#record(key, Buffer.from(value, "latin1"));
  }

  /** `length key=value\n`, the length in decimal with its own digits counted. */
  #record(key: string, value: Uint8Array): void {
    const rest = key.length + value.length + 3;
    let length = rest + String(rest).length;
    if (String(length).length !== String(rest).length) length += 1;
    this.#room(length);
    const at = this.#used + this.#buffer.write(`${length} ${key}=`, this.#used, "latin1");
    this.#buffer.set(value, at);
    this.#buffer[at + value.length] = 0x0a;
    this.#used += length;
  }

  /** Puts the header of the extended header before the records, which are there already. */
  #extended(records: number): void {
    const end = Math.ceil(this.#used / blockBytes) * blockBytes;
    this.#room(end - this.#used);
    this.#buffer.fill(0, this.#used, end);
    this.#used = end;
    // Nobody sees the name but readers that know no extended headers.
    const numbers = { mode: 0o644, uid: 0, gid: 0, size: records, mtime: 0, deviceMajor: 0, deviceMinor: 0 };
    this.#block(0, { prefix: "", name: "PaxHeaders.0", linkName: "" }, numbers, "x");
  }

  #header(fields: HeaderFields, [prefix, name]: readonly [string, string]): void {
    this.#room(blockBytes);
    this.#used += blockBytes;
    const { seconds } = fields.mtime;
    const mtime = seconds < 0 || seconds > most11 ? 0 : seconds;
    const linkName = fields.linkName.slice(0, 100);
    this.#block(this.#used - blockBytes, { prefix, name, linkName }, { ...fields, mtime }, flags[fields.type]);
  }

  #block(at: number, { prefix, name, linkName }: Texts, numbers: Numbers, flag: string): void {
    const buffer = this.#buffer;
    buffer.fill(0, at, at + blockBytes);
    buffer.write(name, at, "latin1");
    octal(buffer, at + 100, 7, numbers.mode);
    octal(buffer, at + 108, 7, numbers.uid > most7 ? 0 : numbers.uid);
    octal(buffer, at + 116, 7, numbers.gid > most7 ? 0 : numbers.gid);
    octal(buffer, at + 124, 11, numbers.size > most11 ? 0 : numbers.size);
    octal(buffer, at + 136, 11, numbers.mtime);
    buffer.fill(0x20, at + 148, at + 156);
    buffer[at + 156] = flag.charCodeAt(0);
    if (linkName !== "") buffer.write(linkName, at + 157, "latin1");
    buffer.write("ustar\u000000", at + 257, "latin1");
    octal(buffer, at + 329, 7, numbers.deviceMajor);
    octal(buffer, at + 337, 7, numbers.deviceMinor);
    if (prefix !== "") buffer.write(prefix, at + 345, "latin1");
    // Most of a header is zeros, and adding them up was a tenth of the time of small files.
    const sum =
      bytesSum(buffer, at, name.length) +
      bytesSum(buffer, at + 100, 57 + linkName.length) +
      bytesSum(buffer, at + 257, 8) +
      bytesSum(buffer, at + 329, 16 + prefix.length);
    octal(buffer, at + 148, 6, sum);
    buffer[at + 154] = 0;
  }

  #room(bytes: number): void {
    if (this.#used + bytes <= this.#buffer.length) return;
    const larger = Buffer.alloc(2 * (this.#used + bytes));
    this.#buffer.copy(larger, 0, 0, this.#used);
    this.#buffer = larger;
  }
}

const none = new Uint8Array(0);

interface Texts {
  readonly prefix: string;
  readonly name: string;
  readonly linkName: string;
}

type Numbers = Omit<HeaderFields, "linkName" | "mtime" | "name" | "pieces" | "type" | "xattrs"> & {
  readonly mtime: number;
};

/** What readers that know no sparse files take for the name, so that they do not put the wrong content under the right one. */
const sparseName = "GNUSparseFile.0";

/** Bytes of content that an archive has of a file, but for the map. */
export function storedBytes({ size, pieces }: Pick<HeaderFields, "pieces" | "size">): number {
  return pieces === undefined ? size : pieces.reduce((sum, { length }) => sum + length, 0);
}

/** The map of a sparse file: a count and as many pairs, one number a line, in whole blocks (GNU tar manual, "PAX Format, Version 1.0"). */
function mapOf({ size, pieces }: HeaderFields): Buffer | undefined {
  if (pieces === undefined) return undefined;
  const last = pieces.at(-1);
  const end = last === undefined ? 0 : last.offset + last.length;
  // GNU tar needs an empty piece at the end to know of zeros there.
  const all = end < size || last === undefined ? [...pieces, { offset: size, length: 0 }] : pieces;
  const text = [all.length, ...all.flatMap(({ offset, length }) => [offset, length]), ""].join("\n");
  const map = Buffer.alloc(Math.ceil(text.length / blockBytes) * blockBytes);
  map.write(text, "latin1");
  return map;
}

/** A name as ustar's prefix and name fields have it; `undefined` if it does not fit. */
function splitName(name: string): readonly [prefix: string, name: string] | undefined {
  if (name.length <= 100) return ["", name];
  // A slash at the end belongs to the name.
  const slash = name.lastIndexOf("/", Math.min(155, name.length - 2));
  if (slash <= 0 || name.length - slash - 1 > 100) return undefined;
  return [name.slice(0, slash), name.slice(slash + 1)];
}

function bytesSum(buffer: Buffer, from: number, length: number): number {
  let sum = 0;
  for (let at = from; at < from + length; at += 1) sum += buffer[at] ?? 0;
  return sum;
}

function octal(buffer: Buffer, at: number, digits: number, value: number): void {
  let rest = value;
  for (let place = at + digits - 1; place >= at; place -= 1) {
    const higher = Math.floor(rest / 8);
    buffer[place] = 0x30 + (rest - higher * 8);
    rest = higher;
  }
}

/** Seconds with as many decimals as are needed; before 1970 the fraction counts backwards. */
function paxTime({ seconds, nanoseconds }: TarTime): string {
  if (nanoseconds === 0) return String(seconds);
  const [whole, part] =
    seconds < 0 ? [`-${-seconds - 1}`, 1_000_000_000 - nanoseconds] : [String(seconds), nanoseconds];
  return `${whole}.${String(part).padStart(9, "0").replace(/0+$/, "")}`;
}
