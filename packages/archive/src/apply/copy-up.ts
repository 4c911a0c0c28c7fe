import { fchmodSync, readSync } from "node:fs";
import { CodedError } from "@varve/errors";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  close,
  EINVAL,
  EOPNOTSUPP,
  EXDEV,
  fchmodat,
  fchownat,
  fgetxattr,
  type FileStat,
  fsetxattr,
  lgetxattrat,
  lsetxattrat,
  mknodat,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_WRONLY,
  openat2,
  readlinkat,
  RESOLVE_BENEATH,
  RESOLVE_NO_SYMLINKS,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  statx,
  symlinkat,
  SyscallError,
  tryCopyFileRange,
  tryFiclone,
  tryFlistxattr,
  tryLlistxattrat,
  utimensat,
} from "@varve/syscalls";
import { isOverlayAttribute } from "../overlay-marks.ts";
import { writeAll } from "./write-all.ts";

/** A name in an open directory. */
export interface Place {
  readonly fd: number;
  readonly name: Buffer;
}

const confined: number = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;

/** Copies owner, attributes, permissions and times from one open directory or file to another. */
export function copyAttributes(from: number, to: number, stat: FileStat, keepOwner: boolean): void {
  if (keepOwner) fchownat(to, "", stat.uid, stat.gid, AT_EMPTY_PATH);
  for (const name of own(tryFlistxattr(from))) {
    set(() => fsetxattr(to, name, fgetxattr(from, name), 0));
  }
  fchmodSync(to, stat.mode % 0o10000);
  utimensat(to, null, stat, 0);
}

/** Copies a file of any kind but a directory, as overlayfs does when somebody changes it. Devices are not opened. */
export function copyUp(from: Place, to: Place, stat: FileStat, keepOwner: boolean): void {
  if ((stat.mode & S_IFMT) === S_IFREG) copyFile(from, to, stat, keepOwner);
  else copySpecial(from, to, stat, keepOwner);
}

function copyFile(from: Place, to: Place, stat: FileStat, keepOwner: boolean): void {
  const source = openFile(from);
  try {
    const flags = O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW;
    const target = openat2(to.fd, to.name, { flags, mode: 0o600, resolve: confined });
    try {
      copyContent(source, target);
      copyAttributes(source, target, stat, keepOwner);
    } finally {
      close(target);
    }
  } finally {
    close(source);
  }
}

/** Opens a file for reading, and nothing but a file: a fifo or device may have taken its place meanwhile. */
function openFile(from: Place): number {
  const found = openat2(from.fd, from.name, { flags: O_PATH | O_NOFOLLOW, resolve: confined });
  try {
    if ((statx(found, "", AT_EMPTY_PATH).mode & S_IFMT) !== S_IFREG) {
      throw new CodedError("ERR_FAILED_PRECONDITION", "lower layers: a file became something else");
    }
    // What O_PATH found is opened for real, and not the name once more (proc(5), "/proc/pid/fd").
    return openat2(AT_FDCWD, `/proc/self/fd/${found}`, { flags: O_RDONLY });
  } finally {
    close(found);
  }
}

function copyContent(source: number, target: number): void {
  if (tryFiclone(target, source) >= 0) return;
  for (;;) {
    const copied = tryCopyFileRange(source, target, 0x4000_0000);
    if (copied === 0) return;
    if (copied > 0) continue;
    if (copied !== -EXDEV && copied !== -EINVAL && copied !== -EOPNOTSUPP) {
      throw new SyscallError("copy_file_range", copied);
    }
    break;
  }
  // Goes on where the kernel's copy stopped: both descriptors are there.
  const buffer = Buffer.allocUnsafeSlow(256 * 1024);
  for (let length = readSync(source, buffer); length > 0; length = readSync(source, buffer)) {
    writeAll(target, buffer.subarray(0, length), null);
  }
}

function copySpecial(from: Place, to: Place, stat: FileStat, keepOwner: boolean): void {
  const link = (stat.mode & S_IFMT) === S_IFLNK;
  if (link) symlinkat(readlinkat(from.fd, from.name), to.fd, to.name);
  else mknodat(to.fd, to.name, stat.mode, stat.rdev);
  if (keepOwner) fchownat(to.fd, to.name, stat.uid, stat.gid, AT_SYMLINK_NOFOLLOW);
  for (const name of own(tryLlistxattrat(from.fd, from.name))) {
    set(() => lsetxattrat(to.fd, to.name, name, lgetxattrat(from.fd, from.name, name), 0));
  }
  if (!link) fchmodat(to.fd, to.name, stat.mode % 0o10000, AT_SYMLINK_NOFOLLOW);
  utimensat(to.fd, to.name, stat, AT_SYMLINK_NOFOLLOW);
}

function own(names: readonly Buffer[] | number): readonly Buffer[] {
  return typeof names === "number" ? [] : names.filter((name) => !isOverlayAttribute(name.toString("latin1")));
}

// The lower layers may lie on a filesystem that can hold more; a label of the system may not be ours to set.
function set(work: () => void): void {
  try {
    work();
  } catch (error) {
    const harmless = error instanceof SyscallError && (error.code === "EOPNOTSUPP" || error.code === "ENOTSUP");
    if (!harmless) throw error;
  }
}
