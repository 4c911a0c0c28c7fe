import { AT_EMPTY_PATH } from "./constants.ts";
import { makedev } from "./device.ts";
import { FIELDS, FIRST_PATH, kernel } from "./kernel.ts";
import type { PathLike } from "./path-like.ts";
import { checkValue } from "./syscall-error.ts";

/** A moment as the kernel keeps it. */
export interface Timespec {
  /** Since 1970-01-01 UTC; negative before it. */
  readonly seconds: number;
  /** 0 to 999,999,999, counted forward from `seconds`. */
  readonly nanoseconds: number;
}

/** What `statx` tells about a file. */
export interface FileStat {
  /** An S_IF constant and the permission bits. */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  /** A bigint, because overlay and network filesystems use the bits a number has no room for. */
  readonly ino: bigint;
  /** The device the file is on, as `makedev` makes it. */
  readonly dev: number;
  /** The device the file is, if it is one. */
  readonly rdev: number;
  readonly size: number;
  /** Space taken, in units of 512 bytes. */
  readonly blocks: number;
  readonly atime: Timespec;
  readonly ctime: Timespec;
  readonly mtime: Timespec;
  /** The mount's number in `/proc/self/mountinfo`; 0 before Linux 5.8. */
  readonly mountId: number;
  /** Whether the file is the root of a mount; `undefined` before Linux 5.8. */
  readonly mountRoot: boolean | undefined;
}

const AT_NO_AUTOMOUNT = 0x800;
const STATX_BASIC_STATS = 0x7ff;
const STATX_MNT_ID = 0x1000;
/** In the upper byte of the low half of `stx_attributes`. */
const STATX_ATTR_MOUNT_ROOT = 0x2000;

/** As `statx`, but a failure is the negative error number. */
export function tryStatx(dirfd: number, path: PathLike, flags: number): FileStat | number {
  const k = kernel();
  const address = k.path(path, FIRST_PATH);
  if (address < 0) return address;
  const all = flags | AT_NO_AUTOMOUNT | (path.length === 0 ? AT_EMPTY_PATH : 0);
  const result = k.call(k.numbers.statx, dirfd, address, all, STATX_BASIC_STATS | STATX_MNT_ID, k.at(FIELDS));
  return result < 0 ? result : decode(k.view);
}

/** Attributes of `path` seen from `dirfd`; an empty path means `dirfd` itself. AT_SYMLINK_NOFOLLOW for links themselves. */
export function statx(dirfd: number, path: PathLike, flags: number): FileStat {
  return checkValue(tryStatx(dirfd, path, flags), "statx", path);
}

// Offsets of struct statx, include/uapi/linux/stat.h; it is the same on every architecture.
function decode(view: DataView): FileStat {
  const mask = view.getUint32(FIELDS, true);
  const attributesMask = view.getUint32(FIELDS + 56, true);
  return {
    mode: view.getUint16(FIELDS + 28, true),
    nlink: view.getUint32(FIELDS + 16, true),
    uid: view.getUint32(FIELDS + 20, true),
    gid: view.getUint32(FIELDS + 24, true),
    ino: view.getBigUint64(FIELDS + 32, true),
    dev: makedev(view.getUint32(FIELDS + 136, true), view.getUint32(FIELDS + 140, true)),
    rdev: makedev(view.getUint32(FIELDS + 128, true), view.getUint32(FIELDS + 132, true)),
    size: wide(view, FIELDS + 40),
    blocks: wide(view, FIELDS + 48),
    atime: timespec(view, FIELDS + 64),
    ctime: timespec(view, FIELDS + 96),
    mtime: timespec(view, FIELDS + 112),
    mountId: (mask & STATX_MNT_ID) === 0 ? 0 : wide(view, FIELDS + 144),
    mountRoot:
      (attributesMask & STATX_ATTR_MOUNT_ROOT) === 0
        ? undefined
        : (view.getUint32(FIELDS + 8, true) & STATX_ATTR_MOUNT_ROOT) !== 0,
  };
}

function wide(view: DataView, offset: number): number {
  return view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 0x1_0000_0000;
}

function timespec(view: DataView, offset: number): Timespec {
  const seconds = view.getUint32(offset, true) + view.getInt32(offset + 4, true) * 0x1_0000_0000;
  return { seconds, nanoseconds: view.getUint32(offset + 8, true) };
}
