import { close, type FileStat, S_IFBLK, S_IFCHR, S_IFDIR, S_IFLNK, S_IFREG } from "@varve/syscalls";
import { readContent } from "./file-content.ts";
import { type FileEntry, sameTime, type TreeEntry, typeOf } from "./tree-entry.ts";
import type { TreeReader, Xattrs } from "./tree-reader.ts";

const bufferBytes = 128 * 1024;

export interface CompareOptions {
  /** Whether contents are read also if the times are the same to the nanosecond. */
  readonly contents: boolean;
  /** Called while contents are read; may throw. */
  readonly check: () => void;
}

/** Tells whether entries of two trees are the same. */
export class EntryComparer {
  readonly #upper: TreeReader;
  readonly #lower: TreeReader;
  readonly #options: CompareOptions;
  #buffers: readonly [Buffer, Buffer] | undefined;

  constructor(upper: TreeReader, lower: TreeReader, options: CompareOptions) {
    this.#upper = upper;
    this.#lower = lower;
    this.#options = options;
  }

  /** Whether two directories have the same attributes; what is in them does not count. */
  sameDirectory(upper: TreeEntry, lower: TreeEntry): boolean {
    return sameStat(upper.stat, lower.stat) && this.#sameXattrs(upper, lower);
  }

  /** Whether two files are the same. Contents are read last, and only those of different files. */
  sameFile(upper: FileEntry, lower: FileEntry): boolean {
    if (!sameStat(upper.stat, lower.stat)) return false;
    if (isSameInode(upper.stat, lower.stat)) return true;
    if (typeOf(upper.stat) === S_IFLNK && !this.#upper.link(upper).equals(this.#lower.link(lower))) return false;
    if (!this.#sameXattrs(upper, lower)) return false;
    if (typeOf(upper.stat) !== S_IFREG || upper.stat.size === 0) return true;
    const read = this.#options.contents || upper.stat.mtime.nanoseconds === 0;
    return !read || this.#sameContent(upper, lower);
  }

  #sameXattrs(upper: TreeEntry, lower: TreeEntry): boolean {
    return sameXattrs(this.#upper.xattrs(upper), this.#lower.xattrs(lower));
  }

  #sameContent(upper: FileEntry, lower: FileEntry): boolean {
    const one = this.#upper.open(upper);
    try {
      const other = this.#lower.open(lower);
      try {
        const same = this.#sameBytes(one, other, upper);
        this.#upper.mustBeSame(one, upper);
        this.#lower.mustBeSame(other, lower);
        return same;
      } finally {
        close(other);
      }
    } finally {
      close(one);
    }
  }

  #sameBytes(one: number, other: number, entry: FileEntry): boolean {
    this.#buffers ??= [Buffer.allocUnsafeSlow(bufferBytes), Buffer.allocUnsafeSlow(bufferBytes)];
    const [a, b] = this.#buffers;
    for (;;) {
      this.#options.check();
      const length = readFully(one, a, entry);
      if (length !== readFully(other, b, entry) || a.compare(b, 0, length, 0, length) !== 0) return false;
      if (length < bufferBytes) return true;
    }
  }
}

/**
 * Whether two names are of one file, so that nothing but the names can differ. There are filesystems whose snapshots have
 * the numbers of what they were made of, but a file that was written to since has another time of change.
 */
function isSameInode(a: FileStat, b: FileStat): boolean {
  return a.ino === b.ino && a.dev === b.dev && sameTime(a.ctime, b.ctime);
}

function sameStat(a: FileStat, b: FileStat): boolean {
  if (a.mode !== b.mode || a.uid !== b.uid || a.gid !== b.gid || !sameTime(a.mtime, b.mtime)) return false;
  const type = typeOf(a);
  if (type === S_IFCHR || type === S_IFBLK) return a.rdev === b.rdev;
  // The size of a directory is the filesystem's own business.
  return type === S_IFDIR || a.size === b.size;
}

function sameXattrs(a: Xattrs, b: Xattrs): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a) if (b.get(key)?.equals(value) !== true) return false;
  return true;
}

function readFully(fd: number, buffer: Buffer, entry: FileEntry): number {
  let length = 0;
  while (length < buffer.length) {
    const count = readContent(fd, entry, buffer.subarray(length), null);
    if (count === 0) break;
    length += count;
  }
  return length;
}
