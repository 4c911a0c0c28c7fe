import { Refusal } from "../entry-error.ts";
import type { ExtendedHeaders } from "./extended-headers.ts";
import type { TarEntry, TarTime, TarType } from "./tar-entry.ts";
import type { RawHeader } from "./tar-header.ts";
import { parseDecimal, parseTime } from "./tar-numbers.ts";

const types: ReadonlyMap<string, TarType> = new Map([
  ["\0", "file"],
  ["0", "file"],
  ["7", "file"],
  ["S", "file"],
  ["1", "hardlink"],
  ["2", "symlink"],
  ["3", "char"],
  ["4", "block"],
  ["5", "directory"],
  ["6", "fifo"],
]);

/** All ones means "do not change" to the kernel. */
const maxId = 0xffff_fffe;
/** The first size that eleven octal digits cannot say; writers put zero or all sevens there. */
const beyondOctal = 2 ** 33;

/** An entry whose headers are read, but not its map if it is a sparse file. */
export interface OpenEntry {
  readonly header: RawHeader;
  readonly name: Buffer;
  readonly type: TarType;
  /** Bytes that follow in the archive, a map among them counted. */
  readonly stored: number;
}

/** Puts together what the headers say of an entry's place in the archive. */
export function openEntry(header: RawHeader, extended: ExtendedHeaders): OpenEntry {
  const flag = types.get(header.type);
  if (flag === undefined) {
    throw new Refusal("entry-type", `type ${JSON.stringify(header.type)} is not supported`, "ERR_NOT_IMPLEMENTED");
  }
  const name = extended.name(header);
  const type = flag === "file" ? fileOrDirectory(header.type, name) : flag;
  return { header, name, type, stored: storedSize(header, type, extended.text("size")) };
}

// Before ustar, directories were files whose name ends with a slash.
function fileOrDirectory(flag: string, name: Buffer): TarType {
  if (name.at(-1) !== 0x2f) return "file";
  if (flag === "\0") return "directory";
  throw new Refusal("name-slash", "a file whose name ends with a slash");
}

function storedSize(header: RawHeader, type: TarType, text: Buffer | undefined): number {
  const size = text === undefined ? header.size : agreedSize(header.size, text);
  if (type === "file") return size;
  // POSIX lets directories have one, without content; all readers agree on that (pax, "ustar Interchange Format").
  const allowed = header.type === "5" && text === undefined;
  if (size > 0 && !allowed) throw new Refusal("size-without-content", `a ${type} with a size of ${size}`);
  return 0;
}

function agreedSize(inHeader: number, text: Buffer): number {
  const size = parseDecimal(text.toString("latin1"));
  if (size === undefined) throw new Refusal("header-number", "extended header has a wrong size");
  const cannotSay = size >= beyondOctal && (inHeader === 0 || inHeader === beyondOctal - 1);
  if (size === inHeader || cannotSay) return size;
  throw new Refusal("size-twice", `header has the size ${inHeader}, extended header ${size}`);
}

/** The entry. @param size bytes of the file, holes counted */
export function completeEntry(open: OpenEntry, extended: ExtendedHeaders, size: number): TarEntry {
  const { header, name, type } = open;
  return {
    type,
    size,
    sparse: extended.sparse !== undefined || header.type === "S",
    uid: id("uid", extended, header.uid),
    gid: id("gid", extended, header.gid),
    atime: time("atime", extended) ?? (header.atime === undefined ? undefined : seconds(header.atime)),
    mode: header.mode,
    offset: extended.offset ?? 0,
    mtime: time("mtime", extended) ?? seconds(header.mtime),
    name,
    linkName: extended.linkName(header),
    deviceMajor: header.deviceMajor ?? -1,
    deviceMinor: header.deviceMinor ?? -1,
    xattrs: extended.xattrs(),
  };
}

function id(key: string, extended: ExtendedHeaders, inHeader: number): number {
  const text = extended.text(key);
  const value = text === undefined ? inHeader : parseDecimal(text.toString("latin1"));
  if (value === undefined || value < 0 || value > maxId) throw new Refusal("owner-range", `${key} out of range`);
  return value;
}

function time(key: string, extended: ExtendedHeaders): TarTime | undefined {
  const text = extended.text(key);
  if (text === undefined) return undefined;
  const value = parseTime(text.toString("latin1"));
  if (value === undefined) throw new Refusal("time-range", `extended header has a wrong ${key}`);
  return value;
}

function seconds(value: number): TarTime {
  return { seconds: value, nanoseconds: 0 };
}
