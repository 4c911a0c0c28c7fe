import {
  EINVAL,
  ENODATA,
  EOPNOTSUPP,
  EPERM,
  ERANGE,
  SyscallError,
  tryFlistxattr,
  tryFremovexattr,
  tryFsetxattr,
  tryLremovexattrat,
  tryLsetxattrat,
} from "@varve/syscalls";
import { overLimit, Refusal } from "../entry-error.ts";
import { isOverlayAttribute } from "../overlay-marks.ts";
import { quoted } from "../tar/pax-records.ts";
import type { TarEntry } from "../tar/tar-entry.ts";
import type { IdMapper } from "./id-mapper.ts";
import { recordAttribute } from "./owner-record.ts";
import type { Ownership } from "./types.ts";

const lists = ["system.posix_acl_access", "system.posix_acl_default"];
/** Largest value the kernel takes. */
const valueBytes = 65_536;

/** Sets and removes extended attributes. */
export class XattrWriter {
  readonly #ownership: Ownership;
  readonly #ids: IdMapper;
  readonly #most: number;
  #skipped = 0;

  constructor(ownership: Ownership, ids: IdMapper, most: number) {
    this.#ownership = ownership;
    this.#ids = ids;
    this.#most = most;
  }

  /** Attributes that were left out. */
  get skipped(): number {
    return this.#skipped;
  }

  /** Those of an entry, on an open file or directory. */
  set(fd: number, entry: TarEntry): void {
    this.#each(entry, (name, value) => tryFsetxattr(fd, name, value, 0));
  }

  /** Those of an entry, on what must not be opened. */
  setAt(parent: number, name: Buffer, entry: TarEntry): void {
    this.#each(entry, (key, value) => tryLsetxattrat(parent, name, key, value, 0));
  }

  /** Removes what an entry for the directory would replace. What the system or overlayfs keeps there stays. */
  clear(fd: number): void {
    const names = tryFlistxattr(fd);
    if (typeof names === "number") return;
    for (const bytes of names) {
      if (!isLayers(bytes.toString("latin1"))) continue;
      const result = tryFremovexattr(fd, bytes);
      if (result >= 0 || result === -ENODATA) continue;
      // Without root, what only root may change stays.
      if (result !== -EPERM || this.#ownership === "keep") {
        throw new SyscallError("fremovexattr", result, { path: bytes });
      }
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

  dropListsAt(parent: number, name: Buffer): void {
    for (const list of lists) tryLremovexattrat(parent, name, list);
  }

  #each(entry: TarEntry, set: (name: Buffer, value: Buffer) => number): void {
    if (entry.xattrs.size > this.#most) throw overLimit("xattrs", this.#most);
    for (const [key, value] of entry.xattrs) {
      if (this.#isUnwanted(key)) this.#skipped += 1;
      else this.#set(entry, key, value, set);
    }
  }

  // A list would give others rights that only the record speaks of.
  #isUnwanted(key: string): boolean {
    if (key.startsWith("trusted.") || isOverlayAttribute(key)) return true;
    return this.#ownership === "record" && (key === recordAttribute || lists.includes(key));
  }

  #set(entry: TarEntry, key: string, value: Buffer, set: (name: Buffer, value: Buffer) => number): void {
    if (value.length > valueBytes) throw new Refusal("xattr", `attribute ${quoted(key)}: ${value.length} bytes`);
    const name = Buffer.from(key, "latin1");
    const result = set(name, this.#ids.attribute(key, value));
    if (result >= 0) return;
    if (result === -EOPNOTSUPP || (result === -EPERM && this.#mayBeLeftOut(entry, key))) {
      this.#skipped += 1;
      return;
    }
    const error = new SyscallError("setxattr", result, { path: name });
    // The name is too long, or a value that the kernel understands (a list, a capability) makes no sense.
    if (result !== -ERANGE && result !== -EINVAL) throw error;
    throw new Refusal("xattr", `attribute ${quoted(key)}: ${error.message}`, "ERR_INVALID_DATA", error);
  }

  // The kernel has user attributes on files and directories only; most others are for root.
  #mayBeLeftOut(entry: TarEntry, key: string): boolean {
    if (this.#ownership !== "keep") return true;
    return key.startsWith("user.") && entry.type !== "file" && entry.type !== "directory";
  }
}

/** Whether an attribute came from a layer, and not from the system, overlayfs or the kind of filesystem. */
function isLayers(name: string): boolean {
  if (name === "security.selinux" || isOverlayAttribute(name)) return false;
  return name.startsWith("user.") || name.startsWith("security.") || lists.includes(name);
}
