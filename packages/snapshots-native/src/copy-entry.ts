import { fchmodSync, fchownSync } from "node:fs";
import { CodedError } from "@varve/errors";
import {
  AT_SYMLINK_NOFOLLOW,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  O_WRONLY,
  RESOLVE_NO_XDEV,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  AT_FDCWD,
  O_DIRECTORY,
  close,
  fchmodat,
  fchownat,
  mknodat,
  openat2,
  printablePath,
  readlinkat,
  statx,
  symlinkat,
  utimensat,
} from "@varve/syscalls";
import type { DirectoryEntry, FileStat } from "@varve/syscalls";
import { copyAttributes, copyEntryAttributes } from "./attributes.ts";
import { DataCopier } from "./copy-data.ts";
import type { CopyRequest } from "./copy-tree.ts";
import { FreshFiles } from "./fresh-files.ts";
import { LinkGroups } from "./link-groups.ts";
import type { DirectoryPair } from "./shared-work.ts";

const openSource = { flags: O_RDONLY | O_NOFOLLOW | O_NONBLOCK, resolve: RESOLVE_NO_XDEV };
const createFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;

/** Copies single names from one open directory to another: everything but directories. */
export class EntryCopier {
  readonly #keep: boolean;
  readonly #data: DataCopier;
  readonly #fresh: FreshFiles;
  readonly #links: LinkGroups;

  constructor(request: CopyRequest, options: { readonly umask: number | undefined; readonly checkpoint: () => void }) {
    this.#keep = request.ownership === "keep";
    this.#data = new DataCopier(options.checkpoint);
    this.#fresh = freshFilesIn(request.destination, options.umask);
    this.#links = new LinkGroups(request.scratch);
  }

  /** False, and nothing is done, if it is a directory. */
  copy(pair: DirectoryPair, { name, type }: DirectoryEntry): boolean {
    if (type === S_IFDIR) return false;
    if (type === S_IFREG) {
      this.#copyFile(pair, name);
      return true;
    }
    const stat = statx(pair.source, name, AT_SYMLINK_NOFOLLOW);
    const known = stat.mode & S_IFMT;
    if (known === S_IFDIR) return false;
    if (known === S_IFREG) this.#copyFile(pair, name);
    else if (this.#keep || (known !== S_IFCHR && known !== S_IFBLK)) this.#copySpecial(pair, name, stat);
    return true;
  }

  /**
   * Gives an open file or directory what its source has.
   *
   * @param given the mode that it was made with, if there is a chance that it is the right one
   */
  settle({ source, destination }: DirectoryPair, stat: FileStat, given?: number): void {
    // In this order: a change of owner takes setuid and file capabilities away, and without write permission only root can
    // set attributes.
    if (this.#keep && !this.#fresh.hasOwnerOf(stat)) fchownSync(destination, stat.uid, stat.gid);
    copyAttributes(source, destination, this.#keep);
    if (given === undefined || !this.#fresh.hasMode(stat.mode, given)) fchmodSync(destination, stat.mode & 0o7777);
    utimensat(destination, null, stat, 0);
  }

  /** Removes what all threads left in the scratch directory. */
  clear(): void {
    this.#links.clear();
  }

  close(): void {
    this.#links.close();
  }

  #copyFile(pair: DirectoryPair, name: Buffer): void {
    // What is listed as a file may be a fifo by the time it is opened, which would block for ever.
    const source = openat2(pair.source, name, openSource);
    try {
      const stat = statx(source, "", 0);
      if ((stat.mode & S_IFMT) !== S_IFREG) {
        throw new CodedError("ERR_UNAVAILABLE", `${printablePath(name)}: was a file, and is something else now`);
      }
      if (stat.nlink > 1 && this.#links.link(stat, pair.destination, name)) return;
      this.#copyContents(source, stat, pair.destination, name);
      if (stat.nlink > 1) this.#links.add(stat, pair.destination, name);
    } finally {
      close(source);
    }
  }

  #copyContents(source: number, stat: FileStat, directory: number, name: Buffer): void {
    const mode = this.#fresh.modeFor(stat.mode);
    const destination = openat2(directory, name, { flags: createFlags, mode });
    try {
      this.#data.copy(source, destination, stat);
      this.settle({ source, destination }, stat, mode);
    } finally {
      close(destination);
    }
  }

  #copySpecial(pair: DirectoryPair, name: Buffer, stat: FileStat): void {
    const { source, destination } = pair;
    if (stat.nlink > 1 && this.#links.link(stat, destination, name)) return;
    const isLink = (stat.mode & S_IFMT) === S_IFLNK;
    if (isLink) symlinkat(readlinkat(source, name), destination, name);
    else mknodat(destination, name, (stat.mode & S_IFMT) | 0o600, stat.rdev);
    if (this.#keep && !this.#fresh.hasOwnerOf(stat)) {
      fchownat(destination, name, stat.uid, stat.gid, AT_SYMLINK_NOFOLLOW);
    }
    if (!isLink) fchmodat(destination, name, stat.mode & 0o7777, AT_SYMLINK_NOFOLLOW);
    copyEntryAttributes(pair, name, this.#keep);
    utimensat(destination, name, stat, AT_SYMLINK_NOFOLLOW);
    if (stat.nlink > 1) this.#links.add(stat, destination, name);
  }
}

function freshFilesIn(directory: string, umask: number | undefined): FreshFiles {
  const fd = openat2(AT_FDCWD, directory, { flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW });
  try {
    return new FreshFiles(fd, umask);
  } finally {
    close(fd);
  }
}
