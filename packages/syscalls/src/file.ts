import {
  AT_SYMLINK_NOFOLLOW,
  EINVAL,
  ENOSYS,
  EOPNOTSUPP,
  O_CLOEXEC,
  O_NOFOLLOW,
  O_PATH,
  S_IFLNK,
  S_IFMT,
} from "./constants.ts";
import { BULK, FIELDS, FIRST_PATH, kernel, SECOND_PATH } from "./kernel.ts";
import { openatWalk } from "./openat-walk.ts";
import type { PathLike } from "./path-like.ts";
import { tryStatx } from "./statx.ts";
import { check, checkValue } from "./syscall-error.ts";

/** How `openat2` opens. `O_CLOEXEC` is always added. */
export interface OpenHow {
  /** O_ constants. */
  readonly flags: number;
  /** Permission bits of a file that is created; must be absent or 0 otherwise. */
  readonly mode?: number | undefined;
  /** RESOLVE_ constants. */
  readonly resolve?: number | undefined;
}

/** As `openat2`, but a failure is the negative error number. */
export function tryOpenat2(dirfd: number, path: PathLike, how: OpenHow): number {
  const k = kernel();
  const address = k.path(path, FIRST_PATH);
  if (address < 0) return address;
  const { view } = k;
  view.setUint32(FIELDS, (how.flags | O_CLOEXEC) >>> 0, true);
  view.setUint32(FIELDS + 4, 0, true);
  view.setUint32(FIELDS + 8, how.mode ?? 0, true);
  view.setUint32(FIELDS + 12, 0, true);
  view.setUint32(FIELDS + 16, how.resolve ?? 0, true);
  view.setUint32(FIELDS + 20, 0, true);
  const result = k.call(k.numbers.openat2, dirfd, address, k.at(FIELDS), 24);
  return result === -ENOSYS ? openatWalk(dirfd, path, how.flags, how.mode ?? 0, how.resolve ?? 0) : result;
}

/**
 * Opens `path` seen from the directory `dirfd`, and returns the descriptor. Unlike those of `node:fs`, it is not
 * closed when a worker thread ends.
 */
export function openat2(dirfd: number, path: PathLike, how: OpenHow): number {
  return check(tryOpenat2(dirfd, path, how), "openat2", path);
}

/** Closes a descriptor made here. `fs.closeSync` warns in worker threads about descriptors it did not open. */
export function close(fd: number): void {
  const k = kernel();
  check(k.call(k.numbers.close, fd), "close");
}

/** As `mkdirat`, but a failure is the negative error number. */
export function tryMkdirat(dirfd: number, path: PathLike, mode: number): number {
  const k = kernel();
  const address = k.path(path, FIRST_PATH);
  return address < 0 ? address : k.call(k.numbers.mkdirat, dirfd, address, mode);
}

/** Makes a directory. The process's umask is taken off `mode`. */
export function mkdirat(dirfd: number, path: PathLike, mode: number): void {
  check(tryMkdirat(dirfd, path, mode), "mkdirat", path);
}

/** As `mknodat`, but a failure is the negative error number. */
export function tryMknodat(dirfd: number, path: PathLike, mode: number, dev: number): number {
  const k = kernel();
  const address = k.path(path, FIRST_PATH);
  return address < 0 ? address : k.call(k.numbers.mknodat, dirfd, address, mode, dev);
}

/** Makes a device, fifo, socket or empty file: `mode` is an S_IF constant and permission bits, `dev` from `makedev`. */
export function mknodat(dirfd: number, path: PathLike, mode: number, dev: number): void {
  check(tryMknodat(dirfd, path, mode, dev), "mknodat", path);
}

/** As `symlinkat`, but a failure is the negative error number. */
export function trySymlinkat(target: PathLike, dirfd: number, path: PathLike): number {
  const k = kernel();
  const to = k.path(target, FIRST_PATH);
  const at = k.path(path, SECOND_PATH);
  return to < 0 ? to : at < 0 ? at : k.call(k.numbers.symlinkat, to, dirfd, at);
}

/** Makes a symbolic link at `path` that says `target`, whatever it says. */
export function symlinkat(target: PathLike, dirfd: number, path: PathLike): void {
  check(trySymlinkat(target, dirfd, path), "symlinkat", target, path);
}

/** As `linkat`, but a failure is the negative error number. */
export function tryLinkat(oldfd: number, oldPath: PathLike, newfd: number, newPath: PathLike, flags: number): number {
  const k = kernel();
  const from = k.path(oldPath, FIRST_PATH);
  const to = k.path(newPath, SECOND_PATH);
  return from < 0 ? from : to < 0 ? to : k.call(k.numbers.linkat, oldfd, from, newfd, to, flags);
}

/** Makes a hard link. Without AT_SYMLINK_FOLLOW a link at `oldPath` is linked itself. */
export function linkat(oldfd: number, oldPath: PathLike, newfd: number, newPath: PathLike, flags: number): void {
  check(tryLinkat(oldfd, oldPath, newfd, newPath, flags), "linkat", oldPath, newPath);
}

/** As `unlinkat`, but a failure is the negative error number. */
export function tryUnlinkat(dirfd: number, path: PathLike, flags: number): number {
  const k = kernel();
  const address = k.path(path, FIRST_PATH);
  return address < 0 ? address : k.call(k.numbers.unlinkat, dirfd, address, flags);
}

/** Removes a name, or with AT_REMOVEDIR an empty directory. */
export function unlinkat(dirfd: number, path: PathLike, flags: number): void {
  check(tryUnlinkat(dirfd, path, flags), "unlinkat", path);
}

/** As `renameat2`, but a failure is the negative error number. */
export function tryRenameat2(
  oldfd: number,
  oldPath: PathLike,
  newfd: number,
  newPath: PathLike,
  flags: number,
): number {
  const k = kernel();
  const from = k.path(oldPath, FIRST_PATH);
  const to = k.path(newPath, SECOND_PATH);
  return from < 0 ? from : to < 0 ? to : k.call(k.numbers.renameat2, oldfd, from, newfd, to, flags);
}

/** Renames; `flags` are RENAME_ constants or 0. */
export function renameat2(oldfd: number, oldPath: PathLike, newfd: number, newPath: PathLike, flags: number): void {
  check(tryRenameat2(oldfd, oldPath, newfd, newPath, flags), "renameat2", oldPath, newPath);
}

/** As `readlinkat`, but a failure is the negative error number. */
export function tryReadlinkat(dirfd: number, path: PathLike): Buffer | number {
  const k = kernel();
  const address = k.path(path, FIRST_PATH);
  if (address < 0) return address;
  const length = k.call(k.numbers.readlinkat, dirfd, address, k.at(BULK), 4096);
  return length < 0 ? length : Buffer.from(k.bytes.subarray(BULK, BULK + length));
}

/** What a symbolic link says, as bytes. An empty path reads the link that `dirfd` was opened on (O_PATH | O_NOFOLLOW). */
export function readlinkat(dirfd: number, path: PathLike): Buffer {
  return checkValue(tryReadlinkat(dirfd, path), "readlinkat", path);
}

/** As `fchownat`, but a failure is the negative error number. */
export function tryFchownat(dirfd: number, path: PathLike, uid: number, gid: number, flags: number): number {
  const k = kernel();
  const address = k.path(path, FIRST_PATH);
  return address < 0 ? address : k.call(k.numbers.fchownat, dirfd, address, uid, gid, flags);
}

/** Changes owner and group; -1 leaves one as it is. Drops setuid, setgid and file capabilities, so do it first. */
export function fchownat(dirfd: number, path: PathLike, uid: number, gid: number, flags: number): void {
  check(tryFchownat(dirfd, path, uid, gid, flags), "fchownat", path);
}

/** As `fchmodat`, but a failure is the negative error number. */
export function tryFchmodat(dirfd: number, path: PathLike, mode: number, flags: number): number {
  const k = kernel();
  const address = k.path(path, FIRST_PATH);
  if (address < 0) return address;
  if (flags === 0) return k.call(k.numbers.fchmodat, dirfd, address, mode);
  const result = k.call(k.numbers.fchmodat2, dirfd, address, mode, flags);
  // fchmodat2 is of Linux 6.6; before that, the way round is the one that glibc takes.
  return result === -ENOSYS ? chmodThroughProc(dirfd, path, mode, flags) : result;
}

/**
 * Changes the permission bits. Without AT_SYMLINK_NOFOLLOW a link at `path` is followed; with it, a link fails with
 * EOPNOTSUPP, for links have no permissions. With AT_EMPTY_PATH and "" it works on O_PATH descriptors too.
 */
export function fchmodat(dirfd: number, path: PathLike, mode: number, flags: number): void {
  check(tryFchmodat(dirfd, path, mode, flags), "fchmodat", path);
}

function chmodThroughProc(dirfd: number, path: PathLike, mode: number, flags: number): number {
  if (path.length === 0) return chmodDescriptor(dirfd, mode);
  if ((flags & AT_SYMLINK_NOFOLLOW) === 0) return -EINVAL;
  const fd = tryOpenat2(dirfd, path, { flags: O_PATH | O_NOFOLLOW });
  if (fd < 0) return fd;
  try {
    return chmodDescriptor(fd, mode);
  } finally {
    close(fd);
  }
}

function chmodDescriptor(fd: number, mode: number): number {
  const stat = tryStatx(fd, "", 0);
  if (typeof stat === "number") return stat;
  // Some filesystems do change a link's mode when asked this way.
  if ((stat.mode & S_IFMT) === S_IFLNK) return -EOPNOTSUPP;
  return tryFchmodat(-1, `/proc/self/fd/${fd}`, mode, 0);
}
