import { Refusal } from "../entry-error.ts";
import { parseNumber } from "./tar-numbers.ts";

/** The size of everything in an archive. */
export const blockBytes = 512;

const empty: Buffer = Buffer.alloc(0);
const ustarMagic: Buffer = Buffer.from("ustar\0");
const gnuMagic: Buffer = Buffer.from("ustar  \0");
const starMagic: Buffer = Buffer.from("tar\0");

/** One header block, before any extended header is applied. */
export interface RawHeader {
  readonly name: Buffer;
  /** The type flag's character. */
  readonly type: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly atime: number | undefined;
  readonly linkName: Buffer;
  /** `undefined` when it is no number; it only matters for devices. */
  readonly deviceMajor: number | undefined;
  readonly deviceMinor: number | undefined;
}

/** Whether the block at `start` is one of an end mark. */
export function isZeroBlock(bytes: Uint8Array, start: number): boolean {
  for (let at = start; at < start + blockBytes; at += 1) if (bytes[at] !== 0) return false;
  return true;
}

/** Reads the header block at `start`. Names are copies. */
export function parseHeader(bytes: Uint8Array, start: number): RawHeader {
  const checksum = parseNumber(bytes, start + 148, 8);
  if (checksum === undefined || !hasChecksum(bytes, start, checksum)) {
    throw new Refusal("header-checksum", "header checksum is wrong");
  }
  const mode = parseNumber(bytes, start + 100, 8);
  const uid = parseNumber(bytes, start + 108, 8);
  const gid = parseNumber(bytes, start + 116, 8);
  const size = parseNumber(bytes, start + 124, 12);
  const mtime = parseNumber(bytes, start + 136, 12);
  if (mode === undefined || mode < 0) throw wrong("mode");
  if (uid === undefined || gid === undefined) throw wrong("owner");
  if (size === undefined || size < 0) throw wrong("size");
  if (mtime === undefined) throw wrong("time");
  const { prefix, atime, known } = formatFields(bytes, start);
  const name = text(bytes, start, 100);
  return {
    name: prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from("/"), name]),
    type: String.fromCharCode(bytes[start + 156] ?? 0),
    mode: mode % 0o10000,
    uid,
    gid,
    size,
    mtime,
    atime,
    linkName: text(bytes, start + 157, 100),
    deviceMajor: known ? parseNumber(bytes, start + 329, 8) : 0,
    deviceMinor: known ? parseNumber(bytes, start + 337, 8) : 0,
  };
}

function wrong(field: string): Refusal {
  return new Refusal("header-number", `header has a wrong ${field}`);
}

/** The checksum's own bytes count as blanks. */
function hasChecksum(bytes: Uint8Array, start: number, expected: number): boolean {
  let sum = 8 * 0x20;
  for (let at = start; at < start + 148; at += 1) sum += bytes[at] ?? 0;
  for (let at = start + 156; at < start + blockBytes; at += 1) sum += bytes[at] ?? 0;
  return expected === sum || (expected < sum && expected === sum - 256 * highBytes(bytes, start));
}

// Old writers summed signed bytes; for names in ASCII it is the same.
function highBytes(bytes: Uint8Array, start: number): number {
  let high = 0;
  for (let at = start; at < start + blockBytes; at += 1) {
    if ((at < start + 148 || at >= start + 156) && (bytes[at] ?? 0) >= 0x80) high += 1;
  }
  return high;
}

interface FormatFields {
  readonly prefix: Buffer;
  readonly atime: number | undefined;
  /** Whether the format has device numbers. */
  readonly known: boolean;
}

const v7: FormatFields = { prefix: empty, atime: undefined, known: false };
const unprefixed: FormatFields = { prefix: empty, atime: undefined, known: true };

function formatFields(bytes: Uint8Array, start: number): FormatFields {
  if (has(bytes, start + 257, gnuMagic)) return gnuFields(bytes, start);
  if (!has(bytes, start + 257, ustarMagic)) return v7;
  if (bytes[start + 345] === 0) return unprefixed;
  // star keeps its own times at the end of the prefix field.
  const length = has(bytes, start + 508, starMagic) ? 131 : 155;
  return { prefix: text(bytes, start + 345, length), atime: undefined, known: true };
}

// GNU has times where ustar has the prefix. Go before 1.8 wrote prefixes there all the same (and Go reads them so).
function gnuFields(bytes: Uint8Array, start: number): FormatFields {
  const [noAtime, noCtime] = [bytes[start + 345] === 0, bytes[start + 357] === 0];
  if (noAtime && noCtime) return unprefixed;
  const atime = noAtime ? undefined : parseNumber(bytes, start + 345, 12);
  const ctime = noCtime ? 0 : parseNumber(bytes, start + 357, 12);
  if ((noAtime || atime !== undefined) && ctime !== undefined) return { prefix: empty, atime, known: true };
  const prefix = text(bytes, start + 345, 155);
  return { prefix: prefix.every((byte) => byte < 0x80) ? prefix : empty, atime: undefined, known: true };
}

function has(bytes: Uint8Array, start: number, magic: Uint8Array): boolean {
  for (let at = 0; at < magic.length; at += 1) if (bytes[start + at] !== magic[at]) return false;
  return true;
}

/** A copy of a field up to its NUL. Fields are short: a loop beats the native calls, and never looks beyond the field. */
function text(bytes: Uint8Array, start: number, length: number): Buffer {
  let end = start;
  while (end < start + length && bytes[end] !== 0) end += 1;
  if (end === start) return empty;
  const copy = Buffer.allocUnsafe(end - start);
  for (let at = start; at < end; at += 1) copy[at - start] = bytes[at] ?? 0;
  return copy;
}
