import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  close,
  ELOOP,
  ENODATA,
  ENOENT,
  ENOTDIR,
  EOPNOTSUPP,
  type FileStat,
  getdents64,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_SYMLINKS,
  SyscallError,
  tryFgetxattr,
  tryFlistxattr,
  tryLgetxattrat,
  tryLlistxattrat,
  tryOpenat2,
  tryReadlinkat,
  tryStatx,
} from "@varve/syscalls";
import { DirectoryHandles } from "../apply/directory-handles.ts";
import { DirectoryNode } from "../apply/directory-node.ts";
import { recordAttribute } from "../apply/owner-record.ts";
import { isLayerAttribute } from "./layer-attributes.ts";
import { NameList } from "./name-list.ts";
import { canHaveRecord, recordedStat } from "./recorded-stat.ts";
import { atPath, changedMeanwhile, treeError } from "./tree-error.ts";
import { type DirectoryEntry, type FileEntry, type Name, pathOf, sameTime, type TreeEntry } from "./tree-entry.ts";

const confined: number = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;

export type Xattrs = ReadonlyMap<string, Buffer>;

const noXattrs: Xattrs = new Map();
/** What a descriptor itself is open on. */
const noName = Buffer.alloc(0);

export interface TreeReaderOptions {
  /** Whether labels of SELinux are read. */
  readonly labels: boolean;
  /** Whether owners, modes and kinds are those of the records in `user.containers.override_stat`. */
  readonly recorded: boolean;
}

/**
 * Reads one tree by descriptors of its directories: no link in it is ever followed and no file but regular ones opened,
 * whoever changes it meanwhile. Holds a bounded number of descriptors, however deep the tree is.
 */
export class TreeReader {
  readonly root: DirectoryNode = new DirectoryNode(undefined, "");
  readonly #handles: DirectoryHandles;
  readonly #options: TreeReaderOptions;

  /** @param path the root as the caller names it; links in it are followed */
  constructor(path: string, options: TreeReaderOptions) {
    this.#handles = new DirectoryHandles(this.root, path);
    this.#options = options;
  }

  /** All names of a directory, in the order of their bytes. */
  names(node: DirectoryNode): NameList {
    const fd = this.#directory(node);
    const names = new NameList();
    try {
      for (let batch = getdents64(fd); batch.length > 0; batch = getdents64(fd)) {
        for (const entry of batch) names.add(entry.name);
      }
    } catch (error) {
      throw atPath(node.path(), error);
    }
    names.sort();
    return names;
  }

  /** What a directory itself has. */
  statDirectory(node: DirectoryNode): FileStat {
    const fd = this.#directory(node);
    return this.#meant(tryStatx(fd, "", 0), fd, noName, node);
  }

  /** What is under a name, links themselves; `undefined` if there is nothing. */
  find(parent: DirectoryNode, name: string): FileStat | undefined {
    const fd = this.#directory(parent);
    const bytes = Buffer.from(name, "latin1");
    const result = tryStatx(fd, bytes, AT_SYMLINK_NOFOLLOW);
    return result === -ENOENT ? undefined : this.#meant(result, fd, bytes, { parent, name });
  }

  /** What is under a name that was there a moment ago. */
  stat(parent: DirectoryNode, name: string): FileStat {
    const stat = this.find(parent, name);
    if (stat === undefined) throw changedMeanwhile(parent.pathOf(name), "removed");
    return stat;
  }

  link(entry: FileEntry): Buffer {
    const { parent, name } = entry;
    const result = tryReadlinkat(this.#directory(parent), Buffer.from(name, "latin1"));
    return this.#value(result, "readlinkat", entry);
  }

  /** The attributes that a layer can have. */
  xattrs(entry: TreeEntry): Xattrs {
    if (entry.node !== undefined) return this.xattrsOf(this.#directory(entry.node), entry);
    const fd = this.#directory(entry.parent);
    const name = Buffer.from(entry.name, "latin1");
    return this.#kept(entry, tryLlistxattrat(fd, name), (key) => tryLgetxattrat(fd, name, key));
  }

  /** As `xattrs`, of an open file. */
  xattrsOf(fd: number, entry: TreeEntry): Xattrs {
    return this.#kept(entry, tryFlistxattr(fd), (key) => tryFgetxattr(fd, key));
  }

  /** Names of all attributes, those of the system too. */
  attributeNames(entry: TreeEntry): string[] {
    const keys =
      entry.node === undefined
        ? tryLlistxattrat(this.#directory(entry.parent), Buffer.from(entry.name, "latin1"))
        : tryFlistxattr(this.#directory(entry.node));
    return this.#listed(entry, keys).map((key) => key.toString("latin1"));
  }

  /** The value of one attribute that is there. */
  attribute(entry: DirectoryEntry, key: string): Buffer {
    const value = tryFgetxattr(this.#directory(entry.node), Buffer.from(key, "latin1"));
    return this.#value(value, "fgetxattr", entry);
  }

  /** Opens for reading the regular file that was found as `entry`; the caller closes it. */
  open(entry: FileEntry): number {
    const { parent, name } = entry;
    // To open a device can do something, so it is looked at what is there now before that.
    const how = { flags: O_PATH | O_NOFOLLOW, resolve: confined };
    const found = tryOpenat2(this.#directory(parent), Buffer.from(name, "latin1"), how);
    if (found === -ENOENT || found === -ELOOP) throw changedMeanwhile(pathOf(entry), "replaced");
    if (found < 0) throw failure(found, "openat2", entry);
    try {
      this.mustBeSame(found, entry);
      const result = tryOpenat2(AT_FDCWD, `/proc/self/fd/${found}`, { flags: O_RDONLY });
      if (result < 0) throw failure(result, "openat2", entry);
      return result;
    } finally {
      close(found);
    }
  }

  /** @throws ERR_FAILED_PRECONDITION something else is open than the file that was found, or somebody wrote to it since */
  mustBeSame(fd: number, entry: FileEntry): void {
    const { ino, size, mtime, mode } = this.#meant(tryStatx(fd, "", 0), fd, noName, entry);
    const { stat } = entry;
    const same = ino === stat.ino && size === stat.size && mode === stat.mode && sameTime(mtime, stat.mtime);
    if (!same) throw changedMeanwhile(pathOf(entry), "changed");
  }

  /** Nothing more is read of a directory for now. */
  leave(node: DirectoryNode): void {
    this.#handles.forget(node);
  }

  close(): void {
    this.#handles.closeAll();
  }

  #directory(node: DirectoryNode): number {
    try {
      return this.#handles.of(node);
    } catch (error) {
      const gone = error instanceof SyscallError && [-ENOENT, -ENOTDIR, -ELOOP].includes(error.errno);
      throw gone ? changedMeanwhile(node.path(), "replaced") : error;
    }
  }

  /** What is said of a file, by its record if those count. */
  #meant(result: FileStat | number, fd: number, name: Buffer, where: DirectoryNode | Name): FileStat {
    const stat = this.#value(result, "statx", where);
    if (!this.#options.recorded) return stat;
    const record = canHaveRecord(stat) ? tryLgetxattrat(fd, name, recordAttribute) : -ENODATA;
    const none = record === -ENODATA || record === -EOPNOTSUPP;
    const meant = recordedStat(stat, none ? undefined : this.#value(record, "getxattr", where));
    if (meant !== undefined) return meant;
    const path = where instanceof DirectoryNode ? where.path() : pathOf(where);
    throw treeError("ERR_INVALID_DATA", path, `attribute "${recordAttribute}": no owner, mode and kind for this file`);
  }

  #kept(entry: TreeEntry, keys: readonly Buffer[] | number, get: (key: Buffer) => Buffer | number): Xattrs {
    const all = this.#listed(entry, keys);
    if (all.length === 0) return noXattrs;
    const found = new Map<string, Buffer>();
    for (const key of all) {
      const text = key.toString("latin1");
      if (!isLayerAttribute(text, this.#options.labels)) continue;
      if (this.#options.recorded && text === recordAttribute) continue;
      const value = get(key);
      if (value === -ENODATA) throw changedMeanwhile(pathOf(entry), "lost an attribute");
      found.set(text, this.#value(value, "getxattr", entry));
    }
    return found;
  }

  #listed(entry: TreeEntry, keys: readonly Buffer[] | number): readonly Buffer[] {
    if (keys === -EOPNOTSUPP) return [];
    return this.#value(keys, "listxattr", entry);
  }

  #value<T extends object>(result: T | number, syscall: string, where: DirectoryNode | Name | TreeEntry): T {
    if (typeof result === "number") throw failure(result, syscall, where);
    return result;
  }
}

// The path is only made when it is needed: that takes as long as the tree is deep.
function failure(result: number, syscall: string, where: DirectoryNode | Name | TreeEntry): SyscallError {
  const path = where instanceof DirectoryNode ? where.path() : pathOf(where);
  return new SyscallError(syscall, result, { path: Buffer.from(path, "latin1") });
}
