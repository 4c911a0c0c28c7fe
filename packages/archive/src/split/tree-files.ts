import { readSync } from "node:fs";
import {
  AT_FDCWD,
  close,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  openat2,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
  statx,
  SyscallError,
} from "@varve/syscalls";
import { CodedError } from "@varve/errors";
import { cleanPath } from "../apply/entry-path.ts";
import { findInRoot } from "./find-in-root.ts";
import type { ContentFile, SplitFiles } from "./types.ts";

const gone = new Set(["ENOENT", "ENOTDIR", "ELOOP"]);
const kinds: Readonly<Record<number, string>> = {
  [S_IFBLK]: "a block device",
  [S_IFCHR]: "a character device",
  [S_IFDIR]: "a directory",
  [S_IFIFO]: "a fifo",
  [S_IFLNK]: "a symbolic link",
  [S_IFSOCK]: "a socket",
};

/**
 * The regular files of a tree: the directory that a layer was unpacked to, or all layers up to it. Links to directories are followed
 * as if the tree were the whole filesystem, so nothing outside is reached; what is no regular file is never opened.
 *
 * @param root links in it are followed
 */
export function treeFiles(root: string): SplitFiles {
  const directory = openat2(AT_FDCWD, root, { flags: O_PATH | O_DIRECTORY });
  try {
    return new TreeFiles(directory, openat2(AT_FDCWD, "/proc/self/fd", { flags: O_PATH | O_DIRECTORY }));
  } catch (error) {
    close(directory);
    throw error;
  }
}

class TreeFiles implements SplitFiles {
  readonly #root: number;
  /** A short way to the descriptors of this process. */
  readonly #descriptors: number;
  #open = true;

  constructor(root: number, descriptors: number) {
    this.#root = root;
    this.#descriptors = descriptors;
  }

  open(name: Buffer): ContentFile | string {
    if (!this.#open) throw new CodedError("ERR_FAILED_PRECONDITION", "tree files: closed");
    const { names, above } = cleanPath(name.toString("latin1"));
    if (above > 0) return "has a name that leads out of the tree";
    const fd = findInRoot(this.#root, names);
    if (fd < 0) {
      const error = new SyscallError("openat2", fd, { path: name });
      if (gone.has(error.code)) return "is gone";
      throw error;
    }
    try {
      const { mode, size, dev, ino } = statx(fd, "", 0);
      const type = mode & S_IFMT;
      if (type === S_IFREG) return new TreeFile(this.#descriptors, fd, size, `${dev}:${ino}`);
      close(fd);
      return `is ${kinds[type] ?? "of an unknown kind"} now`;
    } catch (error) {
      close(fd);
      throw error;
    }
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    close(this.#root);
    close(this.#descriptors);
  }
}

class TreeFile implements ContentFile {
  readonly size: number;
  readonly identity: string;
  readonly #descriptors: number;
  readonly #found: number;
  #opened = -1;

  constructor(descriptors: number, found: number, size: number, identity: string) {
    this.#descriptors = descriptors;
    this.#found = found;
    this.size = size;
    this.identity = identity;
  }

  read(target: Uint8Array): number {
    // The same file, whatever has its name by now.
    if (this.#opened < 0) this.#opened = openat2(this.#descriptors, String(this.#found), { flags: O_RDONLY });
    return readSync(this.#opened, target);
  }

  close(): void {
    close(this.#found);
    if (this.#opened >= 0) close(this.#opened);
  }
}
