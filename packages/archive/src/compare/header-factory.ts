import { CodedError } from "@varve/errors";
import { major, minor, S_IFBLK, S_IFCHR, S_IFIFO, S_IFLNK, S_IFREG, type Timespec } from "@varve/syscalls";
import type { DirectoryNode } from "../apply/directory-node.ts";
import type { HeaderFields } from "../tar/header-encoder.ts";
import type { TarTime, TarType } from "../tar/tar-entry.ts";
import type { SparsePiece } from "../tar/tar-sparse.ts";
import { isAttributeName } from "../tar/tar-writer.ts";
import { opaqueMarker, whiteoutPrefix } from "../whiteout.ts";
import { type DirectoryEntry, type FileEntry, type Name, pathOf, type TreeEntry, typeOf } from "./tree-entry.ts";
import { treeError } from "./tree-error.ts";
import type { Xattrs } from "./tree-reader.ts";

const types: ReadonlyMap<number, TarType> = new Map([
  [S_IFREG, "file"],
  [S_IFLNK, "symlink"],
  [S_IFCHR, "char"],
  [S_IFBLK, "block"],
  [S_IFIFO, "fifo"],
]);

const epoch: TarTime = { seconds: 0, nanoseconds: 0 };
const noXattrs: Xattrs = new Map();

/** Says what entries of a tree are in the terms of an archive, and refuses what it cannot say. */
export class HeaderFactory {
  readonly #latest: number;
  #directory: DirectoryNode | undefined;
  #prefix = "";

  /** @param latest seconds since 1970; later times are replaced by this one */
  constructor(latest: number | undefined) {
    if (latest !== undefined && !Number.isSafeInteger(latest)) {
      throw new CodedError("ERR_INVALID_ARGUMENT", `sourceDateEpoch ${latest}: not a whole number of seconds`);
    }
    this.#latest = latest ?? Infinity;
  }

  directory(entry: DirectoryEntry, xattrs: Xattrs): HeaderFields {
    const { node } = entry;
    if (node.parent !== undefined) mustBeSaid({ parent: node.parent, name: node.name });
    const name = node.parent === undefined ? "./" : this.#prefixOf(node);
    return { ...this.#attributes(entry, xattrs), name, type: "directory", ...plain };
  }

  /** A file with content; `pieces`: what of it is stored, if not all. */
  file(entry: FileEntry, xattrs: Xattrs, pieces: readonly SparsePiece[] | undefined): HeaderFields {
    mustBeSaid(entry);
    const { size } = entry.stat;
    return { ...this.#attributes(entry, xattrs), name: this.#nameOf(entry), type: "file", ...plain, size, pieces };
  }

  /** Links, devices and fifos. */
  special(entry: FileEntry, xattrs: Xattrs, linkText: string): HeaderFields {
    mustBeSaid(entry);
    const { stat } = entry;
    const type = types.get(typeOf(stat));
    if (type === undefined) throw treeError("ERR_INVALID_DATA", pathOf(entry), "unknown type of file");
    const isDevice = type === "char" || type === "block";
    if (type === "char" && stat.rdev === 0) {
      throw treeError("ERR_INVALID_DATA", pathOf(entry), "character device 0:0, which overlayfs takes for a whiteout");
    }
    return {
      ...this.#attributes(entry, xattrs),
      name: this.#nameOf(entry),
      type,
      size: 0,
      linkName: linkText,
      deviceMajor: isDevice ? major(stat.rdev) : 0,
      deviceMinor: isDevice ? minor(stat.rdev) : 0,
    };
  }

  /**
   * Another name of a file. It has the attributes once more, for some tools set them again: an owner that is set takes
   * capabilities and setuid away.
   */
  hardlink(entry: FileEntry, xattrs: Xattrs, target: Name): HeaderFields {
    mustBeSaid(entry);
    const linkName = target.parent.pathOf(target.name);
    return { ...this.#attributes(entry, xattrs), name: this.#nameOf(entry), type: "hardlink", ...plain, linkName };
  }

  /** The whiteout of a name, or the marker that a directory shows nothing of those below. */
  marker(parent: DirectoryNode, hidden: string | undefined): HeaderFields {
    if (hidden !== undefined) mustBeSaid({ parent, name: hidden });
    const name = `${this.#prefixOf(parent)}${whiteoutPrefix}${hidden ?? opaqueMarker}`;
    return { name, type: "file", mode: 0, uid: 0, gid: 0, mtime: epoch, xattrs: noXattrs, ...plain };
  }

  #attributes(entry: TreeEntry, xattrs: Xattrs): Pick<HeaderFields, "gid" | "mode" | "mtime" | "uid" | "xattrs"> {
    for (const key of xattrs.keys()) {
      if (isAttributeName(key)) continue;
      throw treeError("ERR_INVALID_DATA", pathOf(entry), `attribute ${JSON.stringify(key)}: no layer can say its name`);
    }
    const { mode, uid, gid } = entry.stat;
    const mtime = this.#time(entry.stat.mtime);
    if (!Number.isSafeInteger(mtime.seconds)) {
      throw treeError("ERR_INVALID_DATA", pathOf(entry), `time ${mtime.seconds}: no layer can say it`);
    }
    return { mode: mode % 0o10000, uid, gid, mtime, xattrs };
  }

  #time(time: Timespec): TarTime {
    const late = time.seconds > this.#latest || (time.seconds === this.#latest && time.nanoseconds > 0);
    return late ? { seconds: this.#latest, nanoseconds: 0 } : time;
  }

  #nameOf({ parent, name }: Name): string {
    return this.#prefixOf(parent) + name;
  }

  /** Most entries are in the directory of the one before. */
  #prefixOf(node: DirectoryNode): string {
    if (node !== this.#directory) {
      this.#directory = node;
      this.#prefix = node.parent === undefined ? "" : `${node.path()}/`;
    }
    return this.#prefix;
  }
}

const plain = { size: 0, linkName: "", deviceMajor: 0, deviceMinor: 0 } as const;

/** A name that is written as it is must not mean that another one is hidden. */
function mustBeSaid({ parent, name }: Name): void {
  if (!name.startsWith(whiteoutPrefix)) return;
  const why = `names that start with "${whiteoutPrefix}" hide others in a layer`;
  throw treeError("ERR_INVALID_DATA", parent.pathOf(name), why);
}
