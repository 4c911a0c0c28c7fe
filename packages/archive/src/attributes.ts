import { fchmodSync } from "node:fs";
import {
  AT_EMPTY_PATH,
  AT_SYMLINK_NOFOLLOW,
  EINVAL,
  ENODATA,
  EOPNOTSUPP,
  EPERM,
  ERANGE,
  fchmodat,
  fchownat,
  fremovexattr,
  statx,
  SyscallError,
  tryFlistxattr,
  tryFremovexattr,
  tryFsetxattr,
  tryLremovexattrat,
  tryLsetxattrat,
  utimensat,
} from "@varve/syscalls";
import type { DirectoryAttributes } from "./directory-node.ts";
import { entryError } from "./entry-error.ts";
import { isOverlayAttribute } from "./overlay-marks.ts";
import type { TarEntry, TarTime } from "./tar-entry.ts";

const lists = ["system.posix_acl_access", "system.posix_acl_default"];
/** Largest value the kernel takes. */
const valueBytes = 65_536;

/**
 * Sets what the entries ask for, in the only order that works: the owner first, for that drops setuid and capabilities;
 * then attributes; then permission bits; then times.
 */
export class AttributeWriter {
  readonly #keepOwner: boolean;
  #skipped = 0;

  constructor(keepOwner: boolean) {
    this.#keepOwner = keepOwner;
  }

  /** Attributes that were left out. */
  get skipped(): number {
    return this.#skipped;
  }

  /** A file that is open for writing. `inherited`: access control lists may have come from the directory. */
  file(fd: number, entry: TarEntry, inherited: boolean): void {
    if (this.#keepOwner) fchownat(fd, "", entry.uid, entry.gid, AT_EMPTY_PATH);
    if (inherited) this.dropLists(fd);
    if (entry.xattrs.size > 0) this.xattrs(fd, entry);
    fchmodSync(fd, entry.mode);
    utimensat(fd, null, times(entry), 0);
  }

  /** Anything that must not be opened: links, devices, fifos. */
  name(parent: number, name: Buffer, entry: TarEntry, inherited: boolean): void {
    if (this.#keepOwner) fchownat(parent, name, entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW);
    if (inherited) for (const list of lists) tryLremovexattrat(parent, name, list);
    for (const [key, value] of entry.xattrs) {
      this.#xattr(entry, key, value, (bytes) => tryLsetxattrat(parent, name, bytes, value, 0));
    }
    if (entry.type !== "symlink") fchmodat(parent, name, entry.mode, AT_SYMLINK_NOFOLLOW);
    utimensat(parent, name, times(entry), AT_SYMLINK_NOFOLLOW);
  }

  /** All but the extended attributes of a directory. */
  directory(fd: number, attributes: DirectoryAttributes): void {
    if (this.#keepOwner) fchownat(fd, "", attributes.uid, attributes.gid, AT_EMPTY_PATH);
    fchmodSync(fd, attributes.mode);
    utimensat(fd, null, attributes, 0);
  }

  xattrs(fd: number, entry: TarEntry): void {
    for (const [key, value] of entry.xattrs) {
      this.#xattr(entry, key, value, (bytes) => tryFsetxattr(fd, bytes, value, 0));
    }
  }

  /** Removes what an entry for the directory would replace. What the system or overlayfs keeps there stays. */
  clear(fd: number): void {
    const names = tryFlistxattr(fd);
    if (typeof names === "number") return;
    for (const bytes of names) {
      const name = bytes.toString("latin1");
      if (!isKept(name)) fremovexattr(fd, bytes);
    }
  }

  /** Removes access control lists that a new file or directory got from the one it was made in. */
  dropLists(fd: number): void {
    for (const list of lists) {
      const result = tryFremovexattr(fd, list);
      if (result < 0 && result !== -ENODATA && result !== -EOPNOTSUPP) {
        throw new SyscallError("fremovexattr", result, { path: list });
      }
    }
  }

  #xattr(entry: TarEntry, key: string, value: Buffer, set: (name: Buffer) => number): void {
    if (key.startsWith("trusted.") || isOverlayAttribute(key)) {
      this.#skipped += 1;
      return;
    }
    const entryName = entry.name.toString("latin1");
    if (key === "" || value.length > valueBytes) {
      throw entryError("ERR_INVALID_DATA", entryName, `attribute ${JSON.stringify(key)}: ${value.length} bytes`);
    }
    const result = set(Buffer.from(key, "latin1"));
    if (result >= 0) return;
    if (result === -EOPNOTSUPP || (result === -EPERM && this.#mayBeLeftOut(entry, key))) {
      this.#skipped += 1;
      return;
    }
    const error = new SyscallError("setxattr", result, { path: Buffer.from(key, "latin1") });
    // The name is too long, or a value that the kernel understands (a list, a capability) makes no sense.
    if (result === -ERANGE || result === -EINVAL) throw entryError("ERR_INVALID_DATA", entryName, error.message, error);
    throw error;
  }

  // The kernel has user attributes on files and directories only; most others are for root.
  #mayBeLeftOut(entry: TarEntry, key: string): boolean {
    if (!this.#keepOwner) return true;
    return key.startsWith("user.") && entry.type !== "file" && entry.type !== "directory";
  }
}

/** What an open directory has now. */
export function attributesOf(fd: number): DirectoryAttributes {
  const { mode, uid, gid, mtime, atime } = statx(fd, "", 0);
  return { mode: mode % 0o10000, uid, gid, mtime, atime };
}

/** Times of an entry. Without an access time the file was last read when it was last written. */
export function times(entry: TarEntry): { readonly atime: TarTime; readonly mtime: TarTime } {
  const { atime, mtime } = entry;
  return atime === undefined || isBefore(atime, mtime) ? { atime: mtime, mtime } : { atime, mtime };
}

function isBefore(a: TarTime, b: TarTime): boolean {
  return a.seconds < b.seconds || (a.seconds === b.seconds && a.nanoseconds < b.nanoseconds);
}

function isKept(name: string): boolean {
  return name === "security.selinux" || name.startsWith("trusted.") || isOverlayAttribute(name);
}
