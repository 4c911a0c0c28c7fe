import { fchmodSync, fchownSync } from "node:fs";
import { AT_SYMLINK_NOFOLLOW, fchmodat, fsetxattr, statx, SyscallError, tryFchownat, utimensat } from "@varve/syscalls";
import { Refusal } from "../entry-error.ts";
import type { TarEntry, TarTime } from "../tar/tar-entry.ts";
import { defaultAttributes, type DirectoryAttributes } from "./directory-node.ts";
import type { IdMapper } from "./id-mapper.ts";
import { formatRecord, realMode, recordAttribute, type Recorded } from "./owner-record.ts";
import type { Ownership } from "./types.ts";
import type { XattrWriter } from "./xattr-writer.ts";

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Sets what the entries ask for, in the only order that works: the owner first, for that drops setuid and capabilities;
 * then attributes; then permission bits; then times.
 */
export class AttributeWriter {
  readonly #ownership: Ownership;
  readonly #ids: IdMapper;
  readonly #xattrs: XattrWriter;
  /** What a directory gets that the layer implies and no lower layer has. */
  readonly implied: DirectoryAttributes;
  #lostOwners = 0;

  constructor(ownership: Ownership, ids: IdMapper, xattrs: XattrWriter) {
    this.#ownership = ownership;
    this.#ids = ids;
    this.#xattrs = xattrs;
    this.implied = { ...defaultAttributes, ...this.#owner(defaultAttributes) };
  }

  /** Links whose owner could not be recorded. */
  get lostOwners(): number {
    return this.#lostOwners;
  }

  /** Whether devices and fifos are empty files with a record. */
  get records(): boolean {
    return this.#ownership === "record";
  }

  /** A file that is open for writing, whatever the entry is. `inherited`: access control lists may have come from the directory. */
  file(fd: number, entry: TarEntry, inherited: boolean): void {
    if (this.#ownership === "keep") chown(fd, this.#owner(entry));
    if (inherited) this.#xattrs.dropLists(fd);
    if (entry.xattrs.size > 0) this.#xattrs.set(fd, entry);
    fchmodSync(fd, this.records ? record(fd, recordedOf(entry)) : entry.mode);
    utimensat(fd, null, times(entry), 0);
  }

  /** Anything that must not be opened: links, devices, fifos. */
  name(parent: number, name: Buffer, entry: TarEntry, inherited: boolean): void {
    if (this.#ownership === "keep") chownAt(parent, name, this.#owner(entry));
    // The kernel has no attribute for users on a link, and containers/storage loses its owner, too.
    else if (this.records && entry.uid + entry.gid > 0) this.#lostOwners += 1;
    if (inherited) this.#xattrs.dropListsAt(parent, name);
    if (entry.xattrs.size > 0) this.#xattrs.setAt(parent, name, entry);
    if (entry.type !== "symlink") fchmodat(parent, name, entry.mode, AT_SYMLINK_NOFOLLOW);
    utimensat(parent, name, times(entry), AT_SYMLINK_NOFOLLOW);
  }

  /** What a directory gets in the end by its entry. @throws a refusal if its owner cannot be kept */
  attributesFor(entry: TarEntry): DirectoryAttributes {
    const { uid, gid } = this.#owner(entry);
    const { atime, mtime } = times(entry);
    // Written out and not spread: a layer may have a great many directories, and these objects are kept.
    return { mode: entry.mode, uid, gid, mtime, atime };
  }

  /** All but the extended attributes of a directory. */
  directory(fd: number, attributes: DirectoryAttributes): void {
    if (this.#ownership === "keep") chown(fd, attributes);
    fchmodSync(fd, this.records ? record(fd, { type: "directory", ...attributes }) : attributes.mode);
    utimensat(fd, null, attributes, 0);
  }

  /** As `directory`, for one that is not open and has nothing recorded. Never follows a link. */
  directoryAt(parent: number, name: Buffer, attributes: DirectoryAttributes): void {
    if (this.#ownership === "keep") chownAt(parent, name, attributes);
    fchmodat(parent, name, attributes.mode, AT_SYMLINK_NOFOLLOW);
    utimensat(parent, name, attributes, AT_SYMLINK_NOFOLLOW);
  }

  #owner({ uid, gid }: Owner): Owner {
    return { uid: this.#ids.uid(uid), gid: this.#ids.gid(gid) };
  }
}

function chown(fd: number, { uid, gid }: Owner): void {
  try {
    fchownSync(fd, uid, gid);
  } catch (error) {
    throw ownerError(error, uid, gid);
  }
}

function chownAt(parent: number, name: Buffer, { uid, gid }: Owner): void {
  const result = tryFchownat(parent, name, uid, gid, AT_SYMLINK_NOFOLLOW);
  if (result < 0) throw ownerError(new SyscallError("fchownat", result), uid, gid);
}

// U-TAR.9
function ownerError(error: unknown, uid: number, gid: number): unknown {
  if (!(error instanceof Error) || !("code" in error) || error.code !== "EINVAL") return error;
  const why = `owner ${uid}:${gid} is not mapped in this user namespace`;
  return new Refusal("id-mapping", why, "ERR_FAILED_PRECONDITION", error);
}

/** Records what a file is to be, and answers the mode that it really gets. */
function record(fd: number, recorded: Recorded): number {
  fsetxattr(fd, recordAttribute, formatRecord(recorded), 0);
  return realMode(recorded);
}

function recordedOf(entry: TarEntry): Recorded {
  const { uid, gid, mode, deviceMajor, deviceMinor } = entry;
  return { type: entry.type === "hardlink" ? "file" : entry.type, uid, gid, mode, deviceMajor, deviceMinor };
}

/** What an open directory has now. */
export function attributesOf(fd: number): DirectoryAttributes {
  const { mode, uid, gid, mtime, atime } = statx(fd, "", 0);
  return { mode: mode % 0o10000, uid, gid, mtime, atime };
}

/** Times of an entry. Without an access time the file was last read when it was last written. */
function times(entry: TarEntry): { readonly atime: TarTime; readonly mtime: TarTime } {
  const { atime, mtime } = entry;
  return atime === undefined || isBefore(atime, mtime) ? { atime: mtime, mtime } : { atime, mtime };
}

function isBefore(a: TarTime, b: TarTime): boolean {
  return a.seconds < b.seconds || (a.seconds === b.seconds && a.nanoseconds < b.nanoseconds);
}
