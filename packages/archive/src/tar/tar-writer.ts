import { CodedError } from "@varve/errors";
import { printableName } from "../entry-error.ts";
import { HeaderEncoder, type HeaderFields, storedBytes } from "./header-encoder.ts";
import { blockBytes } from "./tar-header.ts";
import type { TarTime, TarType } from "./tar-entry.ts";
import { fit, type SparsePiece } from "./tar-sparse.ts";

/** One entry to write. Names are bytes, and are written as they are. */
export interface TarEntryInit {
  /** By custom with a slash at the end if it is a directory. */
  readonly name: Uint8Array;
  readonly type: TarType;
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: TarTime;
  /** Bytes of content that follow by `data`; files only. Default 0. */
  readonly size?: number | undefined;
  /**
   * What `data` gives of a sparse file, in order; the rest of its `size` is zeros and is left out. Written in the pax format of GNU
   * tar, version 1.0. Default: all of it.
   */
  readonly pieces?: readonly SparsePiece[] | undefined;
  /** Target of a hard or symbolic link. */
  readonly linkName?: Uint8Array | undefined;
  /** Of character and block devices. Default 0. */
  readonly deviceMajor?: number | undefined;
  readonly deviceMinor?: number | undefined;
  /** Extended attributes by name (one character a byte). */
  readonly xattrs?: ReadonlyMap<string, Uint8Array> | undefined;
}

/** Writes an archive entry by entry. */
export interface TarWriter {
  /**
   * Starts an entry.
   *
   * @throws ERR_INVALID_ARGUMENT the archive could not say it, or would say something else
   * @throws ERR_FAILED_PRECONDITION content of the entry before is missing, or the archive has ended
   */
  entry(entry: TarEntryInit): void;
  /** @throws ERR_FAILED_PRECONDITION more bytes than the entry's size */
  data(bytes: Uint8Array): void;
  /** Writes the end mark. @throws ERR_FAILED_PRECONDITION content of the last entry is missing */
  end(): void;
}

/** All ones means "do not change" to the kernel. */
const maxId = 0xffff_fffe;
/** Seven octal digits; Linux has no larger ones. */
const maxDevice = 0o7_777_777;
/** Bytes of headers of one entry: Go's archive/tar, and so most container tools, refuses a larger extended header. */
export const maxExtended: number = 1024 * 1024;

const noXattrs: ReadonlyMap<string, Uint8Array> = new Map();
const zeros: Buffer = Buffer.alloc(2 * blockBytes);

/**
 * Makes a strict writer of tar archives, which gives `sink` blocks of any length, valid during the call only. The same entries
 * always give the same bytes: ustar, with pax headers (POSIX.1-2001) only for what it cannot hold: long names, ids above
 * 2,097,151, sizes above 8 GiB, times before 1970 or with a fraction, extended attributes. No user names, no other times.
 */
export function createTarWriter(sink: (block: Uint8Array) => void): TarWriter {
  return new Writer(sink);
}

class Writer implements TarWriter {
  readonly #sink: (block: Uint8Array) => void;
  readonly #encoder = new HeaderEncoder();
  #name = "";
  /** Content that is still to come, and what fills its last block. */
  #missing = 0;
  #padding = 0;
  #ended = false;

  constructor(sink: (block: Uint8Array) => void) {
    this.#sink = sink;
  }

  entry(entry: TarEntryInit): void {
    this.#mustBeComplete();
    const fields = fieldsOf(entry);
    const headers = this.#encoder.encode(fields);
    if (headers.length > maxExtended) {
      throw invalid(fields.name, `${headers.length} bytes of extended header: more than others read (${maxExtended})`);
    }
    this.#name = fields.name;
    this.#missing = storedBytes(fields);
    this.#padding = -this.#missing & (blockBytes - 1);
    this.#sink(headers);
  }

  data(bytes: Uint8Array): void {
    if (bytes.length > this.#missing) {
      throw wrongState(`entry "${printableName(this.#name)}": more content than its size says`);
    }
    if (bytes.length === 0) return;
    this.#sink(bytes);
    this.#missing -= bytes.length;
    if (this.#missing === 0 && this.#padding > 0) this.#sink(zeros.subarray(0, this.#padding));
  }

  end(): void {
    this.#mustBeComplete();
    this.#ended = true;
    this.#sink(zeros);
  }

  #mustBeComplete(): void {
    if (this.#ended) throw wrongState("the archive has ended");
    if (this.#missing === 0) return;
    throw wrongState(`entry "${printableName(this.#name)}": ${this.#missing} bytes of content are missing`);
  }
}

/** Checks that a reader would see just what is asked for. */
function fieldsOf(entry: TarEntryInit): HeaderFields {
  const name = text(entry.name);
  const linkName = text(entry.linkName ?? none);
  const { type, mode, uid, gid, mtime, size = 0, deviceMajor = 0, deviceMinor = 0, xattrs = noXattrs } = entry;
  if (name === "" || name.includes("\0")) throw invalid(name, "no name");
  // Some readers take any name with a slash at the end for that of a directory.
  if (type !== "directory" && name.endsWith("/")) throw invalid(name, "slash at the end");
  const isLink = type === "hardlink" || type === "symlink";
  if (isLink === (linkName === "") || linkName.includes("\0")) throw invalid(name, "link target");
  const isDevice = type === "block" || type === "char";
  const devices = isDevice ? maxDevice : 0;
  if (!isWithin(deviceMajor, devices) || !isWithin(deviceMinor, devices)) throw invalid(name, "device number");
  if (!isWithin(size, type === "file" ? Number.MAX_SAFE_INTEGER : 0)) throw invalid(name, `size ${size}`);
  if (!isWithin(mode, 0o7777)) throw invalid(name, `mode ${mode.toString(8)}`);
  if (!isWithin(uid, maxId) || !isWithin(gid, maxId)) throw invalid(name, `owner ${uid}:${gid}`);
  if (!Number.isSafeInteger(mtime.seconds) || !isWithin(mtime.nanoseconds, 999_999_999)) throw invalid(name, "time");
  for (const key of xattrs.keys()) if (!isAttributeName(key)) throw invalid(name, `attribute ${JSON.stringify(key)}`);
  const fields = { name, type, mode, uid, gid, size, mtime, linkName, deviceMajor, deviceMinor, xattrs };
  const { pieces } = entry;
  if (pieces === undefined) return fields;
  const numbers = pieces.flatMap(({ offset, length }) => [offset, length]);
  const valid = type === "file" && numbers.every((number) => Number.isSafeInteger(number) && number >= 0);
  if (!valid || !fit(pieces, size, storedBytes({ size, pieces }))) throw invalid(name, "pieces of a sparse file");
  return { ...fields, pieces };
}

/** Whether a pax record can have the name: bytes, and readers take it to end at the first `=`. */
export function isAttributeName(key: string): boolean {
  return key !== "" && !/[=\0\u0100-\uffff]/.test(key);
}

function isWithin(value: number, most: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= most;
}

const none = new Uint8Array(0);

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

function invalid(name: string, why: string): CodedError {
  return new CodedError(
    "ERR_INVALID_ARGUMENT",
    `tar writer: entry "${printableName(name)}": ${why}: cannot be written`,
  );
}

function wrongState(why: string): CodedError {
  return new CodedError("ERR_FAILED_PRECONDITION", `tar writer: ${why}`);
}
