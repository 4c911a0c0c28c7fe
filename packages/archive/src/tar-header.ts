import { parseNumber } from "./tar-numbers.ts";

/** The size of everything in an archive. */
export const blockBytes = 512;

/** One header block, before any extended header is applied. Strings have one character a byte. */
export interface RawHeader {
  readonly name: string;
  /** The type flag's character. */
  readonly type: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly atime: number | undefined;
  readonly linkName: string;
  /** `undefined` when it is no number; it only matters for devices. */
  readonly deviceMajor: number | undefined;
  readonly deviceMinor: number | undefined;
}

export function isZeroBlock(block: Uint8Array): boolean {
  if (block[0] !== 0) return false;
  for (let at = 0; at < blockBytes; at += 1) if (block[at] !== 0) return false;
  return true;
}

/** Reads one header block; the answer is the reason when it is none. */
export function parseHeader(block: Buffer): RawHeader | string {
  const checksum = parseNumber(block, 148, 8);
  if (checksum === undefined || !hasChecksum(block, checksum)) return "header checksum is wrong";
  const [mode, uid, gid] = [parseNumber(block, 100, 8), parseNumber(block, 108, 8), parseNumber(block, 116, 8)];
  const [size, mtime] = [parseNumber(block, 124, 12), parseNumber(block, 136, 12)];
  if (mode === undefined || mode < 0) return "header has a wrong mode";
  if (uid === undefined || gid === undefined) return "header has a wrong owner";
  if (size === undefined || size < 0) return "header has a wrong size";
  if (mtime === undefined) return "header has a wrong time";
  const { prefix, atime, known } = formatFields(block);
  const name = text(block, 0, 100);
  return {
    name: prefix === "" ? name : `${prefix}/${name}`,
    type: String.fromCharCode(block[156] ?? 0),
    mode: mode % 0o10000,
    uid,
    gid,
    size,
    mtime,
    atime,
    linkName: text(block, 157, 100),
    deviceMajor: known ? parseNumber(block, 329, 8) : 0,
    deviceMinor: known ? parseNumber(block, 337, 8) : 0,
  };
}

// Old writers summed signed bytes; for names in ASCII it is the same.
function hasChecksum(block: Uint8Array, expected: number): boolean {
  let unsigned = 8 * 0x20;
  let high = 0;
  for (let at = 0; at < blockBytes; at += 1) {
    const byte = block[at] ?? 0;
    if (at >= 148 && at < 156) continue;
    unsigned += byte;
    high += byte >> 7;
  }
  return expected === unsigned || expected === unsigned - 256 * high;
}

function formatFields(block: Buffer): { prefix: string; atime: number | undefined; known: boolean } {
  const magic = block.toString("latin1", 257, 265);
  if (magic === "ustar  \0") return gnuFields(block);
  if (!magic.startsWith("ustar\0")) return { prefix: "", atime: undefined, known: false };
  // star keeps its own times at the end of the prefix field.
  const star = block.toString("latin1", 508, 512) === "tar\0";
  return { prefix: text(block, 345, star ? 131 : 155), atime: undefined, known: true };
}

// GNU has times where ustar has the prefix. Go before 1.8 wrote prefixes there all the same (and Go reads them so).
function gnuFields(block: Buffer): { prefix: string; atime: number | undefined; known: boolean } {
  const atime = block[345] === 0 ? undefined : parseNumber(block, 345, 12);
  const ctime = block[357] === 0 ? 0 : parseNumber(block, 357, 12);
  if ((block[345] === 0 || atime !== undefined) && ctime !== undefined) return { prefix: "", atime, known: true };
  const prefix = text(block, 345, 155);
  return { prefix: isAscii(prefix) ? prefix : "", atime: undefined, known: true };
}

function isAscii(value: string): boolean {
  return !/[^\0-\u{7f}]/u.test(value);
}

function text(block: Buffer, start: number, length: number): string {
  const end = block.indexOf(0, start);
  return block.toString("latin1", start, end < 0 || end > start + length ? start + length : end);
}
