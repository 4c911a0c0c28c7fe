import { BULK, BULK_BYTES, kernel } from "./kernel.ts";
import { check } from "./syscall-error.ts";

/** One name in a directory. */
export interface DirectoryEntry {
  readonly name: Buffer;
  /** An S_IF constant, or 0 where the filesystem does not tell. */
  readonly type: number;
}

/**
 * The next names of a directory opened for reading, in the order of the filesystem, `.` and `..` left out; empty at
 * the end. Holds one batch of at most 64 KiB, however large the directory is.
 */
export function getdents64(fd: number): readonly DirectoryEntry[] {
  const k = kernel();
  for (;;) {
    const length = check(k.call(k.numbers.getdents64, fd, k.at(BULK), BULK_BYTES), "getdents64");
    const entries = decode(k.bytes, BULK + length);
    // A batch of nothing but `.` and `..` is not the end.
    if (length === 0 || entries.length > 0) return entries;
  }
}

// struct linux_dirent64: u64 inode, s64 offset, u16 record length, u8 type, name with end mark.
function decode(bytes: Buffer, end: number): DirectoryEntry[] {
  const entries: DirectoryEntry[] = [];
  for (let at = BULK; at < end; at += bytes.readUInt16LE(at + 16)) {
    const nameEnd = bytes.indexOf(0, at + 19);
    if (isDots(bytes, at + 19, nameEnd)) continue;
    // The types of directory entries are the type bits of a mode.
    entries.push({ name: Buffer.from(bytes.subarray(at + 19, nameEnd)), type: (bytes[at + 18] ?? 0) << 12 });
  }
  return entries;
}

function isDots(bytes: Buffer, start: number, end: number): boolean {
  const dot = 0x2e;
  if (bytes[start] !== dot) return false;
  return end === start + 1 || (end === start + 2 && bytes[start + 1] === dot);
}
