import {
  AT_FDCWD,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
  close,
  getdents64,
  mkdirat,
  openat2,
  statx,
  tryFremovexattr,
} from "@varve/syscalls";
import type { DirectoryEntry, FileStat } from "@varve/syscalls";
import { EntryCopier } from "./copy-entry.ts";
import type { DirectoryPair, SharedWork } from "./shared-work.ts";

/** What to do about owners, devices and privileged attributes. */
export type Ownership = "keep" | "skip";

export interface CopyRequest {
  /** A directory that nobody changes meanwhile. None of these paths has a link in it. */
  readonly source: string;
  /** An empty directory. */
  readonly destination: string;
  /** An empty directory on the filesystem of `destination`; empty again at the end. */
  readonly scratch: string;
  readonly ownership: Ownership;
}

export interface CopyOptions {
  readonly work: SharedWork;
  /** Of this thread, if it is known and no other thread can change it. */
  readonly umask: number | undefined;
  /** Called once, when there is enough to do for another thread. */
  readonly onMuch?: (() => void) | undefined;
}

interface Frame extends DirectoryPair {
  readonly stat: FileStat;
  entries: readonly DirectoryEntry[];
  next: number;
}

const openDirectory = { flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW, resolve: RESOLVE_NO_XDEV };
// Waking another thread takes as long as copying a few files.
const muchEntries = 200;

/**
 * Copies a tree with everything in it: names as bytes, contents with their holes, hard-link groups, owners, modes, extended
 * attributes, devices, and times to the nanosecond. Every step goes from an open directory to one name in it that is not
 * followed, and what is mounted in the source is refused. Memory and descriptors grow with the depth of the tree only.
 */
export function copyTree(request: CopyRequest, options: CopyOptions): void {
  withCopier(request, options, (copier) => {
    const roots = openRoots(request);
    removeAccessLists(roots.destination);
    copier.copyAll(roots);
    copier.help();
    copier.clear();
  });
}

/** Copies what a thread in `copyTree` of the same request leaves to others. */
export function helpCopyTree(request: CopyRequest, options: CopyOptions): void {
  withCopier(request, options, (copier) => copier.help());
}

function withCopier(request: CopyRequest, options: CopyOptions, body: (copier: TreeCopier) => void): void {
  try {
    const copier = new TreeCopier(request, options);
    try {
      body(copier);
    } finally {
      copier.close();
    }
  } catch (error) {
    // The others are to end too, or they would wait for what this thread has not copied.
    options.work.stop();
    throw error;
  }
}

class TreeCopier {
  readonly #work: SharedWork;
  readonly #onMuch: () => void;
  readonly #entries: EntryCopier;
  readonly #stack: Frame[] = [];
  #seen = 0;

  constructor(request: CopyRequest, { work, umask, onMuch }: CopyOptions) {
    this.#work = work;
    this.#onMuch = onMuch ?? ((): void => {});
    this.#entries = new EntryCopier(request, { umask, checkpoint: () => work.checkpoint() });
  }

  /** Copies directories that others leave, until all is done. */
  help(): void {
    for (let pair = this.#work.take(); pair !== undefined; pair = this.#work.take()) this.copyAll(pair);
  }

  copyAll(pair: DirectoryPair): void {
    this.#push(pair);
    while (this.#step()) this.#work.checkpoint();
    this.#work.finish();
  }

  /** Ends the use of the scratch directory. */
  clear(): void {
    this.#entries.clear();
  }

  close(): void {
    for (const frame of this.#stack.splice(0)) closeBoth(frame);
    this.#entries.close();
  }

  /** Copies one entry; false at the end. */
  #step(): boolean {
    const frame = this.#stack.at(-1);
    if (frame === undefined) return false;
    if (frame.next === frame.entries.length) {
      frame.entries = getdents64(frame.source);
      frame.next = 0;
    }
    const entry = frame.entries[frame.next];
    frame.next += 1;
    this.#seen += 1;
    if (this.#seen === muchEntries) this.#onMuch();
    if (entry === undefined) this.#leave(frame);
    else if (!this.#entries.copy(frame, entry)) this.#enter(frame, entry.name);
    return true;
  }

  #enter(frame: Frame, name: Buffer): void {
    const source = openat2(frame.source, name, openDirectory);
    let destination = -1;
    try {
      // Not its own mode yet: a process that is not root has to write to it.
      mkdirat(frame.destination, name, 0o700);
      destination = openat2(frame.destination, name, openDirectory);
      if (this.#work.offer({ source, destination })) return;
    } catch (error) {
      close(source);
      if (destination >= 0) close(destination);
      throw error;
    }
    this.#push({ source, destination });
  }

  #push(pair: DirectoryPair): void {
    try {
      this.#stack.push({ ...pair, stat: statx(pair.source, "", 0), entries: [], next: 0 });
    } catch (error) {
      closeBoth(pair);
      throw error;
    }
  }

  // Only now, for entries made in a directory change its times, and need write permission in it.
  #leave(frame: Frame): void {
    this.#entries.settle(frame, frame.stat);
    this.#stack.pop();
    closeBoth(frame);
  }
}

// The paths of the roots may lead over mounts; what is below may not.
function openRoots(request: CopyRequest): DirectoryPair {
  const how = { flags: openDirectory.flags, resolve: RESOLVE_NO_SYMLINKS };
  const source = openat2(AT_FDCWD, request.source, how);
  try {
    return { source, destination: openat2(AT_FDCWD, request.destination, how) };
  } catch (error) {
    close(source);
    throw error;
  }
}

/** What the store's directory passes on to new directories would come into every copy, and change modes. */
function removeAccessLists(directory: number): void {
  for (const name of ["system.posix_acl_access", "system.posix_acl_default"]) tryFremovexattr(directory, name);
}

function closeBoth(pair: DirectoryPair): void {
  close(pair.source);
  close(pair.destination);
}
