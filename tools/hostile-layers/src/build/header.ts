import { bytesOf, putField, type Field } from "./numbers.ts";

/** Everything a header block says. Names are text (UTF-8) or bytes; what is left out has a usual value. */
export interface HeaderInit {
  readonly name: string | Buffer;
  /** The type flag. Default `0`, a file. */
  readonly type?: string | undefined;
  readonly mode?: Field | undefined;
  readonly uid?: Field | undefined;
  readonly gid?: Field | undefined;
  readonly size?: Field | undefined;
  readonly mtime?: Field | undefined;
  readonly link?: string | Buffer | undefined;
  /** Magic and version. Default that of POSIX; GNU's is `"ustar  \0"`, that of v7 is empty. */
  readonly magic?: string | undefined;
  readonly major?: Field | undefined;
  readonly minor?: Field | undefined;
  readonly prefix?: string | undefined;
  /** Bytes put over the block before its checksum is made. */
  readonly raw?: readonly (readonly [offset: number, bytes: Buffer])[] | undefined;
  /** `signed` counts bytes as old writers did. Default: the right one. Anything else is written as it is. */
  readonly checksum?: Field | undefined;
}

export const gnuMagic = "ustar  \0";
/** The time that entries have unless they say another one. */
const usualTime = 1_600_000_000;

/** One block of 512 bytes. */
export function header(init: HeaderInit): Buffer {
  const block = Buffer.alloc(512);
  bytesOf(init.name).copy(block, 0, 0, 100);
  putField(block, 100, 8, init.mode ?? 0o644);
  putField(block, 108, 8, init.uid ?? 0);
  putField(block, 116, 8, init.gid ?? 0);
  putField(block, 124, 12, init.size ?? 0);
  putField(block, 136, 12, init.mtime ?? usualTime);
  block.write(init.type ?? "0", 156, 1, "latin1");
  bytesOf(init.link ?? "").copy(block, 157, 0, 100);
  const magic = init.magic ?? "ustar\u000000";
  block.write(magic, 257, 8, "latin1");
  if (magic !== "") {
    putField(block, 329, 8, init.major ?? 0);
    putField(block, 337, 8, init.minor ?? 0);
    block.write(init.prefix ?? "", 345, 155, "latin1");
  }
  for (const [offset, bytes] of init.raw ?? []) bytes.copy(block, offset);
  sign(block, init.checksum);
  return block;
}

function sign(block: Buffer, checksum: HeaderInit["checksum"]): void {
  block.fill(0x20, 148, 156);
  if (checksum !== undefined && checksum !== "signed") return putField(block, 148, 8, checksum);
  const value = block.reduce((sum, byte) => sum + (checksum === "signed" && byte > 127 ? byte - 256 : byte), 0);
  block.write(`${value.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
}
