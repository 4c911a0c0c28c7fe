import { entryError } from "../subject.ts";

export const blockSize = 512;

/** What of a header block decides how many bytes follow it. */
export interface HeaderBlock {
  /** As it stands in this block, for messages. */
  readonly name: string;
  readonly type: string;
  /** Bytes of content. */
  readonly size: number;
}

// Entries that have content: files, contiguous files, and what belongs to the next entry.
const withContent = "07xgLK\0";
const withoutContent = "123456";
const sizeField = { start: 124, end: 136 };
const octal = /^ *([0-7]{0,12})[ \0]*$/;

/** @throws ERR_INVALID_DATA a type or a size of which there could be two readings */
export function readHeaderBlock(block: Uint8Array): HeaderBlock {
  const bytes = Buffer.from(block.buffer, block.byteOffset, block.byteLength);
  const name = bytes.toString("utf8", 0, 100).replace(/\0.*$/s, "");
  const type = String.fromCharCode(bytes[156] ?? 0);
  if (!withContent.includes(type) && !withoutContent.includes(type)) {
    throw entryError(name, `the type ${JSON.stringify(type)} has no place in an image archive`);
  }
  const size = readSize(bytes.subarray(sizeField.start, sizeField.end));
  if (size === undefined) throw entryError(name, "its size is no number");
  return { name, type, size };
}

/** Whether content follows a header of this type. */
export function hasContent({ type }: HeaderBlock): boolean {
  return withContent.includes(type);
}

function readSize(field: Buffer): number | undefined {
  if (field[0] === 0x80) {
    const value = field.subarray(1).reduce((sum, byte) => sum * 256 + byte, 0);
    return Number.isSafeInteger(value) ? value : undefined;
  }
  const digits = octal.exec(field.toString("latin1"))?.[1];
  return digits === undefined ? undefined : Number.parseInt(`0${digits}`, 8);
}
