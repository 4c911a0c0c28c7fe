import {
  AT_FDCWD,
  EEXIST,
  EMLINK,
  ENOENT,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  SyscallError,
  close,
  getdents64,
  openat2,
  renameat2,
  tryLinkat,
  unlinkat,
} from "@varve/syscalls";
import type { FileStat } from "@varve/syscalls";

const openDirectory = { flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW };

/**
 * Hard links of a tree that is being copied. The first copy of each group also gets a name in a directory aside, its inode
 * number, so that the others can be linked to it whatever became of their paths, by any thread.
 */
export class LinkGroups {
  readonly #fd: number;

  /** @param scratch an empty directory on the filesystem of the copy */
  constructor(scratch: string) {
    this.#fd = openat2(AT_FDCWD, scratch, openDirectory);
  }

  /** Makes `name` a link to the copy of the same file; false if there is none yet. */
  link(stat: FileStat, directory: number, name: Buffer): boolean {
    const aside = String(stat.ino);
    const result = tryLinkat(this.#fd, aside, directory, name, 0);
    if (result === -ENOENT) return false;
    // The name aside becomes that of the last one, so that a group as large as the filesystem allows fits.
    if (result === -EMLINK) renameat2(this.#fd, aside, directory, name, 0);
    else if (result < 0) throw new SyscallError("linkat", result, { path: name });
    return true;
  }

  /** Keeps a complete copy for the rest of its group. Where another thread was first, that one's takes its place. */
  add(stat: FileStat, directory: number, name: Buffer): void {
    const result = tryLinkat(directory, name, this.#fd, String(stat.ino), 0);
    if (result === -EEXIST) {
      unlinkat(directory, name, 0);
      if (this.link(stat, directory, name)) return;
    }
    // A filesystem without hard links gets copies.
    if (result < 0 && result !== -EMLINK) throw new SyscallError("linkat", result, { path: name });
  }

  /** Drops the names aside; only when nothing more is to be linked. */
  clear(): void {
    // Opened again: a directory of btrfs lists what was in it when it was opened.
    const fd = openat2(this.#fd, ".", openDirectory);
    try {
      for (let entries = getdents64(fd); entries.length > 0; entries = getdents64(fd)) {
        for (const { name } of entries) unlinkat(fd, name, 0);
      }
    } finally {
      close(fd);
    }
  }

  close(): void {
    close(this.#fd);
  }
}
