import { readSync } from "node:fs";
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  close,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_NONBLOCK,
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
  SyscallError,
  tryStatx,
} from "@varve/syscalls";
import type { FileStat } from "@varve/syscalls";
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
 * The regular files of a tree that holds still: the directory that a layer was unpacked to, or all layers up to it. Links to
 * directories are followed as if the tree were the whole filesystem, so nothing outside is reached; what is no regular file is not
 * opened.
 *
 * @param root links in it are followed
 */
export function treeFiles(root: string): SplitFiles {
  return new TreeFiles(openat2(AT_FDCWD, root, { flags: O_PATH | O_DIRECTORY }));
}

class TreeFiles implements SplitFiles {
  readonly #root: number;
  /** The directory of the last file, which is that of the next one, too, more often than not. */
  #directory: number;
  #directoryName = "";
  #open = true;

  constructor(root: number) {
    this.#root = root;
    this.#directory = root;
  }

  open(name: Buffer): ContentFile | string {
    if (!this.#open) throw new CodedError("ERR_FAILED_PRECONDITION", "tree files: closed");
    const { names, above } = cleanPath(name.toString("latin1"));
    if (above > 0) return "has a name that leads out of the tree";
    const directory = this.#directoryOf(names);
    if (directory < 0) return reason(directory, name);
    const last = Buffer.from(names.at(-1) ?? "", "latin1");
    const stat = tryStatx(directory, last, AT_SYMLINK_NOFOLLOW);
    if (typeof stat === "number") return reason(stat, name);
    const type = stat.mode & S_IFMT;
    if (type !== S_IFREG) return `is ${kinds[type] ?? "of an unknown kind"} now`;
    return new TreeFile(stat, () => openContent(this.#directoryOf(names), last));
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#leaveDirectory();
    close(this.#root);
  }

  /** A descriptor of the directory that a path is in, or a negative error number. */
  #directoryOf(names: readonly string[]): number {
    const path = names.slice(0, -1);
    const name = path.join("/");
    if (name === this.#directoryName) return this.#directory;
    // What the path itself leads to, if it is a link.
    const found = path.length === 0 ? this.#root : findInRoot(this.#root, [...path, "."]);
    if (found < 0) return found;
    this.#leaveDirectory();
    this.#directory = found;
    this.#directoryName = name;
    return found;
  }

  #leaveDirectory(): void {
    if (this.#directory !== this.#root) close(this.#directory);
    this.#directory = this.#root;
  }
}

class TreeFile implements ContentFile {
  readonly size: number;
  readonly #stat: FileStat;
  readonly #openContent: () => number;
  #opened = -1;

  constructor(stat: FileStat, openIt: () => number) {
    this.#stat = stat;
    this.#openContent = openIt;
    this.size = stat.size;
  }

  get identity(): string {
    return `${this.#stat.dev}:${this.#stat.ino}`;
  }

  read(target: Uint8Array): number {
    if (this.#opened < 0) this.#opened = this.#openContent();
    return readSync(this.#opened, target);
  }

  close(): void {
    if (this.#opened >= 0) close(this.#opened);
    this.#opened = -1;
  }
}

/** Should something else have its name by now: no link is followed, and no pipe waited for. */
function openContent(directory: number, name: Buffer): number {
  return openat2(directory, name, { flags: O_RDONLY | O_NOFOLLOW | O_NONBLOCK });
}

/** Why there is no such file. What is wrong with more than this file is thrown. */
function reason(errno: number, name: Buffer): string {
  const error = new SyscallError("openat2", errno, { path: name });
  if (gone.has(error.code)) return "is gone";
  throw error;
}
