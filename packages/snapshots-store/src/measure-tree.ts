import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync } from "node:fs";
import type { BigIntStats } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { CallOptions, Usage } from "@varve/snapshots";
import { isErrno } from "./errno.ts";

const directoryFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
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
  const walk = new TreeWalk(root);
  try {
    for (;;) {
      options.signal?.throwIfAborted();
      const until = performance.now() + sliceMs;
      while (performance.now() < until) {
        if (!walk.step()) return walk.usage;
      }
      await nextTurn();
    }
  } finally {
    walk.close();
  }
}

// Synchronous, because as promises the same calls take several times the CPU. The way from one directory to the next
// goes through open descriptors: no path grows too long, and no directory can be swapped for a link on the way.
class TreeWalk {
  readonly #device: bigint;
  readonly #stack: Frame[] = [];
  readonly #linked = new Set<bigint>();
  #bytes = 0;
  #inodes = 0;

  constructor(root: string) {
    const fd = openSync(root, directoryFlags);
    this.#push(fd);
    const stat = fstatSync(fd, { bigint: true });
    this.#device = stat.dev;
    this.#count(stat);
  }

  get usage(): Usage {
    return { bytes: this.#bytes, inodes: this.#inodes };
  }

  /** Looks at one name; false at the end. */
  step(): boolean {
    const frame = this.#stack.at(-1);
    if (frame === undefined) return false;
    const name = frame.names.pop();
    if (name === undefined) {
      this.#stack.pop();
      closeSync(frame.fd);
      return true;
    }
    const path = Buffer.concat([Buffer.from(`/proc/self/fd/${frame.fd}/`), name]);
    const stat = lstatSync(path, { bigint: true, throwIfNoEntry: false });
    if (stat === undefined || stat.dev !== this.#device) return true;
    this.#count(stat);
    if (stat.isDirectory()) this.#enter(path);
    return true;
  }

  close(): void {
    for (const { fd } of this.#stack.splice(0)) closeSync(fd);
  }

  #enter(path: Buffer): void {
    let fd: number;
    try {
      fd = openSync(path, directoryFlags);
    } catch (error) {
      if (isErrno(error, "ENOENT", "ENOTDIR", "ELOOP")) return;
      throw error;
    }
    this.#push(fd);
  }

  #push(fd: number): void {
    try {
      this.#stack.push({ fd, names: readdirSync(`/proc/self/fd/${fd}`, { encoding: "buffer" }) });
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  #count(stat: BigIntStats): void {
    if (!stat.isDirectory() && stat.nlink > 1n) {
      if (this.#linked.has(stat.ino)) return;
      this.#linked.add(stat.ino);
    }
    this.#bytes += Number(stat.blocks) * 512;
    this.#inodes += 1;
  }
}
