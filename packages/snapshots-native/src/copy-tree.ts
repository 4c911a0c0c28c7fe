import { fchmodSync, fchownSync } from "node:fs";
import {
  AT_SYMLINK_NOFOLLOW,
  O_CREAT,
  O_DIRECTORY,
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
  close,
  fchmodat,
  fchownat,
  getdents64,
  mkdirat,
  mknodat,
  openat2,
  readlinkat,
  statx,
  symlinkat,
  utimensat,
} from "@varve/syscalls";
import type { DirectoryEntry, FileStat } from "@varve/syscalls";
import { copyAttributes, copyEntryAttributes } from "./attributes.ts";
import { DataCopier } from "./copy-data.ts";
import { LinkGroups } from "./link-groups.ts";

/** What to do about owners, devices and privileged attributes. */
export type Ownership = "keep" | "skip";

/** Called often; throws to stop the copying. */
export type Checkpoint = () => void;

export interface CopyRequest {
  /** A directory that nobody changes meanwhile. */
  readonly source: string;
  /** An empty directory. */
  readonly destination: string;
  /** An empty directory on the filesystem of `destination`; empty again at the end. */
  readonly scratch: string;
  readonly ownership: Ownership;
}

interface Frame {
  readonly source: number;
  readonly destination: number;
  readonly stat: FileStat;
  entries: readonly DirectoryEntry[];
  next: number;
}

const openDirectory = { flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW, resolve: RESOLVE_NO_XDEV };
const cwd = -100;

/**
 * Copies a tree with everything in it: names as bytes, contents with their holes, hard-link groups, owners, modes, extended
 * attributes, devices, and times to the nanosecond. Every step goes from an open directory to one name in it that is not
 * followed, and what is mounted in the source is refused. Memory and descriptors grow with the depth of the tree only.
 */
export function copyTree(request: CopyRequest, checkpoint: Checkpoint): void {
  const copier = new TreeCopier(request, checkpoint);
  try {
    while (copier.step()) checkpoint();
  } finally {
    copier.close();
  }
}

class TreeCopier {
  readonly #keep: boolean;
  readonly #data: DataCopier;
  readonly #links: LinkGroups;
  readonly #stack: Frame[] = [];

  constructor(request: CopyRequest, checkpoint: Checkpoint) {
    this.#keep = request.ownership === "keep";
    this.#data = new DataCopier(checkpoint);
    this.#links = new LinkGroups(request.scratch);
    try {
      this.#push(cwd, request.source, cwd, request.destination);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Copies one entry; false at the end. */
  step(): boolean {
    const frame = this.#stack.at(-1);
    if (frame === undefined) return false;
    if (frame.next === frame.entries.length) {
      frame.entries = getdents64(frame.source);
      frame.next = 0;
    }
    const entry = frame.entries[frame.next];
    frame.next += 1;
    if (entry === undefined) this.#leave(frame);
    else this.#copy(frame, entry.name);
    return true;
  }

  close(): void {
    for (const frame of this.#stack.splice(0)) closeBoth(frame);
    this.#links.close();
  }

  #copy(frame: Frame, name: Buffer): void {
    const stat = statx(frame.source, name, AT_SYMLINK_NOFOLLOW);
    const type = stat.mode & S_IFMT;
    if (type === S_IFDIR) {
      mkdirat(frame.destination, name, 0o700);
      this.#push(frame.source, name, frame.destination, name);
      return;
    }
    if (!this.#keep && (type === S_IFCHR || type === S_IFBLK)) return;
    if (stat.nlink > 1 && this.#links.link(stat, frame.destination, name)) return;
    if (type === S_IFREG) this.#copyFile(frame, name, stat);
    else this.#copySpecial(frame, name, stat);
    if (stat.nlink > 1) this.#links.add(stat, frame.destination, name);
  }

  #copyFile(frame: Frame, name: Buffer, stat: FileStat): void {
    // What is a file now may be a fifo by the time it is opened, which would block for ever.
    const source = openat2(frame.source, name, {
      flags: O_RDONLY | O_NOFOLLOW | O_NONBLOCK,
      resolve: RESOLVE_NO_XDEV,
    });
    let destination = -1;
    try {
      const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
      destination = openat2(frame.destination, name, { flags, mode: 0o600 });
      this.#data.copy(source, destination, stat);
      this.#settle(source, destination, stat);
    } finally {
      close(source);
      if (destination >= 0) close(destination);
    }
  }

  #copySpecial(frame: Frame, name: Buffer, stat: FileStat): void {
    const { destination } = frame;
    const isLink = (stat.mode & S_IFMT) === S_IFLNK;
    if (isLink) symlinkat(readlinkat(frame.source, name), destination, name);
    else mknodat(destination, name, (stat.mode & S_IFMT) | 0o600, stat.rdev);
    if (this.#keep) fchownat(destination, name, stat.uid, stat.gid, AT_SYMLINK_NOFOLLOW);
    if (!isLink) fchmodat(destination, name, stat.mode & 0o7777, AT_SYMLINK_NOFOLLOW);
    copyEntryAttributes(frame, name, this.#keep);
    utimensat(destination, name, stat, AT_SYMLINK_NOFOLLOW);
  }

  #push(sourceAt: number, source: Buffer | string, destinationAt: number, destination: Buffer | string): void {
    // A root may be given by a path that leads over mounts; what is below may not.
    const how = sourceAt === cwd ? { flags: openDirectory.flags } : openDirectory;
    const from = openat2(sourceAt, source, how);
    let to = -1;
    try {
      to = openat2(destinationAt, destination, how);
      const stat = statx(from, "", 0);
      this.#stack.push({ source: from, destination: to, stat, entries: [], next: 0 });
    } catch (error) {
      close(from);
      if (to >= 0) close(to);
      throw error;
    }
  }

  // Only now, for entries made in a directory change its times, and need write permission in it.
  #leave(frame: Frame): void {
    this.#settle(frame.source, frame.destination, frame.stat);
    this.#stack.pop();
    closeBoth(frame);
  }

  // In this order: a change of owner takes setuid and file capabilities away.
  #settle(source: number, destination: number, stat: FileStat): void {
    if (this.#keep) fchownSync(destination, stat.uid, stat.gid);
    fchmodSync(destination, stat.mode & 0o7777);
    copyAttributes(source, destination, this.#keep);
    utimensat(destination, null, stat, 0);
  }
}

function closeBoth(frame: Frame): void {
  close(frame.source);
  close(frame.destination);
}
