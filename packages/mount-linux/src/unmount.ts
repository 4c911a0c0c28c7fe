import { basename, dirname, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CodedError } from "@varve/errors";
import type { UnmountOptions } from "@varve/mount";
import * as sys from "@varve/syscalls";
import { mustSucceed } from "./mount-error.ts";
import { mountsBelow, readMountTable } from "./mount-table.ts";
import type { MountTableEntry } from "./mount-table.ts";

/** A name in a directory that is held open, so that a changed path cannot lead elsewhere. */
interface Place {
  readonly parent: number;
  readonly name: string;
  /** For messages. */
  readonly path: string;
}

const FIRST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 200;
const SLASH = 0x2f;

/** Takes off everything mounted at `target`, and all that is mounted below it. */
export async function unmountAll(target: string, busyTimeoutMs: number, options: UnmountOptions): Promise<void> {
  const path = resolve(target);
  if (path === "/") throw new CodedError("ERR_INVALID_ARGUMENT", "unmount /: the root cannot be unmounted");
  const how = { flags: sys.O_PATH | sys.O_DIRECTORY, resolve: sys.RESOLVE_NO_SYMLINKS };
  const parent = sys.tryOpenat2(sys.AT_FDCWD, dirname(path), how);
  if (parent === -sys.ENOENT || parent === -sys.ENOTDIR) return;
  if (parent === -sys.ELOOP) {
    throw new CodedError("ERR_FAILED_PRECONDITION", `unmount ${path}: a symbolic link is on the way to it`);
  }
  mustSucceed(parent, `unmount ${path}`, "openat2");
  try {
    await unmountPlace({ parent, name: basename(path), path }, busyTimeoutMs, options);
  } finally {
    sys.close(parent);
  }
}

async function unmountPlace(place: Place, busyTimeoutMs: number, options: UnmountOptions): Promise<void> {
  const flags = options.lazy === true ? sys.MNT_DETACH : 0;
  let waited = 0;
  let pause = FIRST_PAUSE_MS;
  for (;;) {
    options.signal?.throwIfAborted();
    const result = await unmountTopmost(place, flags);
    if (result === "nothing") return;
    if (result === 0) continue;
    if (result !== -sys.EBUSY || waited >= busyTimeoutMs) {
      mustSucceed(result, `unmount ${place.path}`, "umount2");
    }
    await pauseFor(pause, options.signal);
    waited += pause;
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
  }
}

/** 0, the negative error number, or that nothing is mounted there. */
async function unmountTopmost(place: Place, flags: number): Promise<number | "nothing"> {
  const stat = sys.tryStatx(place.parent, place.name, sys.AT_SYMLINK_NOFOLLOW);
  if (stat === -sys.ENOENT || stat === -sys.ENOTDIR) return "nothing";
  // Other failures do not count: the root of a mount whose server is gone cannot be looked at, but be unmounted.
  if (typeof stat !== "number") {
    if (stat.mountRoot === false) return "nothing";
    // MNT_DETACH takes what is below by itself.
    if ((flags & sys.MNT_DETACH) === 0) await unmountBelow(place, stat.mountId);
  }
  // In the background, because the last unmount of a filesystem waits for the disk.
  const path = `/proc/self/fd/${place.parent}/${place.name}`;
  const result = await sys.tryUmount2Async(path, flags | sys.UMOUNT_NOFOLLOW);
  if (result !== -sys.EINVAL) return result;
  const after = sys.tryStatx(place.parent, place.name, sys.AT_SYMLINK_NOFOLLOW);
  // Still a mount, and yet the kernel says that it is none: it was mounted by a more privileged namespace.
  const locked = typeof after !== "number" && after.mountRoot === true;
  return locked ? -sys.EPERM : "nothing";
}

/** Failures show when the mount above is unmounted: it is busy then. */
async function unmountBelow(place: Place, mountId: number): Promise<void> {
  const table = readMountTable();
  const top = table.find((entry) => entry.id === mountId);
  if (top === undefined) return;
  for (const entry of mountsBelow(table, mountId)) {
    await unmountChild(place, top, entry);
  }
}

async function unmountChild(place: Place, top: MountTableEntry, entry: MountTableEntry): Promise<void> {
  const below = entry.mountPoint.subarray(top.mountPoint.length);
  const slash = below.lastIndexOf(SLASH);
  // Mounted on the very same place since we looked: the next round takes it.
  if (slash === -1) return;
  const directory = Buffer.concat([Buffer.from(place.name), below.subarray(0, slash)]);
  const how = { flags: sys.O_PATH | sys.O_DIRECTORY, resolve: sys.RESOLVE_NO_SYMLINKS };
  const parent = sys.tryOpenat2(place.parent, directory, how);
  if (parent < 0) return;
  try {
    const stat = sys.tryStatx(parent, "", 0);
    // The names may have been given to something else since the table was read.
    if (typeof stat !== "number" && stat.mountId !== entry.parentId) return;
    const path = Buffer.concat([Buffer.from(`/proc/self/fd/${parent}`), below.subarray(slash)]);
    await sys.tryUmount2Async(path, sys.UMOUNT_NOFOLLOW);
  } finally {
    sys.close(parent);
  }
}

async function pauseFor(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(milliseconds, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}
