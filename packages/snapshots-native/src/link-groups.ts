import {
  AT_FDCWD,
  EMLINK,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  SyscallError,
  close,
  linkat,
  openat2,
  renameat2,
  tryLinkat,
  unlinkat,
} from "@varve/syscalls";
import type { FileStat } from "@varve/syscalls";

/**
 * Hard links of a tree that is being copied. The first copy of each group also gets a name in a directory aside, so that
 * the others can be linked to it whatever became of their paths, however long those are.
 */
export class LinkGroups {
  readonly #fd: number;
  /** By inode number: how many names are still to come. */
  readonly #missing = new Map<bigint, number>();

  /** @param scratch an empty directory on the filesystem of the copy */
  constructor(scratch: string) {
    this.#fd = openat2(AT_FDCWD, scratch, { flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW });
  }

  /** Makes `name` a link to the copy of the same file; false if there is none yet. */
  link(stat: FileStat, directory: number, name: Buffer): boolean {
    const missing = this.#missing.get(stat.ino);
    if (missing === undefined) return false;
    const anchor = String(stat.ino);
    if (missing > 1) {
      linkat(this.#fd, anchor, directory, name, 0);
      this.#missing.set(stat.ino, missing - 1);
    } else {
      // The last one takes the place of the name aside, so that a group as large as the filesystem allows fits.
      renameat2(this.#fd, anchor, directory, name, 0);
      this.#missing.delete(stat.ino);
    }
    return true;
  }

  /** Remembers the first copy of a group. */
  add(stat: FileStat, directory: number, name: Buffer): void {
    const result = tryLinkat(directory, name, this.#fd, String(stat.ino), 0);
    // A filesystem without hard links gets copies.
    if (result === -EMLINK) return;
    if (result < 0) throw new SyscallError("linkat", result, { path: name });
    this.#missing.set(stat.ino, stat.nlink - 1);
  }

  /** Drops the names aside of files that have more links than were found in the tree. */
  close(): void {
    try {
      for (const inode of this.#missing.keys()) unlinkat(this.#fd, String(inode), 0);
    } finally {
      close(this.#fd);
    }
  }
}
