import { closeSync, openSync } from "node:fs";
import { constants } from "node:os";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { CallOptions, Usage } from "@varve/snapshots";
import {
  AT_SYMLINK_NOFOLLOW,
  close,
  getdents64,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  statx,
  SyscallError,
  tryOpenat2,
  tryReadlinkat,
  tryStatx,
} from "@varve/syscalls";
import type { FileStat } from "@varve/syscalls";
import { isErrno } from "./errno.ts";
import type { SealedContents } from "./snapshot-store.ts";
import { TreeFingerprint } from "./tree-fingerprint.ts";

const { ELOOP, EINVAL, ENOENT, ENOTDIR } = constants.errno;
const directory = { flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW };
const noTarget = Buffer.alloc(0);
const sliceMs = 2;

interface Frame {
  readonly fd: number;
  readonly names: Buffer[];
}

/**
 * What the directory `root` and everything below it take up: allocated blocks, and inodes with each hard-link group counted
 * once. Links are never followed and other filesystems never entered, even while somebody changes the tree; what vanishes
 * meanwhile is not counted. Works in slices of two milliseconds, so that the thread stays responsive.
 */
export async function measureTree(root: string, options: CallOptions = {}): Promise<Usage> {
  return measureFiles(openSync(root, directory.flags), options);
}

/** The same for an open directory, which is closed at the end. */
export async function measureFiles(fd: number, options: CallOptions): Promise<Usage> {
  return (await walked(new TreeWalk(fd, undefined), options)).usage;
}

/** The same with a fingerprint, so that changes can be found later. */
export async function sealFiles(fd: number, options: CallOptions): Promise<Required<SealedContents>> {
  const fingerprint = new TreeFingerprint();
  const { usage } = await walked(new TreeWalk(fd, fingerprint), options);
  return { ...usage, fingerprint: fingerprint.digest() };
}

async function walked(walk: TreeWalk, options: CallOptions): Promise<TreeWalk> {
  try {
    walk.start();
    for (;;) {
      options.signal?.throwIfAborted();
      const until = performance.now() + sliceMs;
      while (performance.now() < until) {
        if (!walk.step()) return walk;
      }
      await nextTurn();
    }
  } finally {
    walk.close();
  }
}

// Synchronous, because as promises the same calls take several times the CPU, and by descriptor and name, which also costs a
// third of what node:fs does with a path. So no path grows too long, and no directory can be swapped for a link on the way.
class TreeWalk {
  readonly #root: number;
  readonly #fingerprint: TreeFingerprint | undefined;
  readonly #stack: Frame[] = [];
  readonly #linked = new Set<bigint>();
  #device = 0;
  #bytes = 0;
  #inodes = 0;

  constructor(root: number, fingerprint: TreeFingerprint | undefined) {
    this.#root = root;
    this.#fingerprint = fingerprint;
  }

  get usage(): Usage {
    return { bytes: this.#bytes, inodes: this.#inodes };
  }

  start(): void {
    const names: Buffer[] = [];
    this.#stack.push({ fd: this.#root, names });
    const stat = statx(this.#root, "", 0);
    this.#device = stat.dev;
    this.#count(stat);
    this.#fingerprint?.add(Buffer.from("."), stat, noTarget);
    for (const name of this.#namesIn(this.#root)) names.push(name);
  }

  /** Looks at one name; false at the end. */
  step(): boolean {
    const frame = this.#stack.at(-1);
    if (frame === undefined) return false;
    const name = frame.names.pop();
    if (name === undefined) {
      this.#stack.pop();
      this.#fingerprint?.leave();
      this.#close(frame);
      return true;
    }
    const stat = orVanished(tryStatx(frame.fd, name, AT_SYMLINK_NOFOLLOW), "statx", ENOENT);
    if (stat === undefined || stat.dev !== this.#device) return true;
    this.#count(stat);
    const type = stat.mode & S_IFMT;
    this.#fingerprint?.add(name, stat, type === S_IFLNK ? targetOf(frame.fd, name) : noTarget);
    if (type === S_IFDIR) this.#enter(frame.fd, name);
    return true;
  }

  close(): void {
    for (const frame of this.#stack.splice(0)) this.#close(frame);
  }

  /** The root was opened by node:fs, which keeps count in worker threads. */
  #close({ fd }: Frame): void {
    if (fd === this.#root) closeSync(fd);
    else close(fd);
  }

  #enter(parent: number, name: Buffer): void {
    const fd = tryOpenat2(parent, name, directory);
    if (fd === -ENOENT || fd === -ENOTDIR || fd === -ELOOP) return;
    if (fd < 0) throw new SyscallError("openat2", fd);
    try {
      this.#stack.push({ fd, names: this.#namesIn(fd) });
    } catch (error) {
      close(fd);
      throw error;
    }
  }

  /** The last is the first to be looked at. */
  #namesIn(fd: number): Buffer[] {
    const names: Buffer[] = [];
    for (;;) {
      const batch = namesOf(fd);
      if (batch.length === 0) break;
      for (const { name } of batch) names.push(name);
    }
    return this.#fingerprint === undefined ? names : names.toSorted(descending);
  }

  #count(stat: FileStat): void {
    if (stat.nlink > 1 && (stat.mode & S_IFMT) !== S_IFDIR) {
      if (this.#linked.has(stat.ino)) return;
      this.#linked.add(stat.ino);
    }
    this.#bytes += stat.blocks * 512;
    this.#inodes += 1;
  }
}

/** None of a directory that was removed since it was opened. */
function namesOf(fd: number): ReturnType<typeof getdents64> {
  try {
    return getdents64(fd);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return [];
    throw error;
  }
}

function descending(a: Buffer, b: Buffer): number {
  return Buffer.compare(b, a);
}

function targetOf(parent: number, link: Buffer): Buffer {
  return orVanished(tryReadlinkat(parent, link), "readlinkat", ENOENT, EINVAL) ?? noTarget;
}

/** `undefined` for what vanished, or became something else, between two calls. */
function orVanished<T extends object>(
  result: T | number,
  syscall: string,
  ...errnos: readonly number[]
): T | undefined {
  if (typeof result !== "number") return result;
  if (errnos.includes(-result)) return undefined;
  throw new SyscallError(syscall, result);
}
