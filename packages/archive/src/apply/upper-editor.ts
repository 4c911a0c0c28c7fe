import { CodedError } from "@varve/errors";
import { type FileStat, linkat, mkdirat, mknodat, getdents64, S_IFCHR, statx, utimensat } from "@varve/syscalls";
import { copyAttributes, copyUp, type Place } from "./copy-up.ts";
import type { DirectoryNode } from "./directory-node.ts";
import { DiskTree, splitPath } from "./disk-tree.ts";
import { printableName } from "../entry-error.ts";
import { markOpaque } from "../overlay-marks.ts";
import type { LowerQuestions, Ownership } from "./types.ts";

/** Puts into an upper directory what only the lower layers could tell. */
export class UpperEditor {
  readonly #upper: DiskTree;
  readonly #lower: DiskTree;
  readonly #keepOwner: boolean;
  readonly #userxattr: boolean;
  /** Directories that were changed, and the times they had before. */
  readonly #before = new Map<DirectoryNode, Pick<FileStat, "atime" | "mtime">>();
  /** Directories of the upper layer that get the attributes of those below. */
  readonly #implied = new Set<DirectoryNode>();
  /** Where the copy of a lower file is. */
  readonly #copies = new Map<string, string>();

  constructor(
    upper: string,
    lower: DiskTree,
    options: { readonly ownership?: Ownership | undefined; readonly userxattr?: boolean | undefined },
  ) {
    this.#upper = new DiskTree(upper);
    this.#lower = lower;
    this.#keepOwner = (options.ownership ?? "keep") === "keep";
    this.#userxattr = options.userxattr ?? false;
  }

  /** Makes a hard link to a lower file, which must be copied up for that. */
  link(link: LowerQuestions["links"][number]): void {
    const copy = this.#copies.get(link.target);
    if (copy !== undefined) {
      this.#hardlink(copy, link.path);
    } else if (link.shows) {
      this.#copy(link.target, link.target);
      this.#hardlink(link.target, link.path);
    } else this.#copy(link.target, link.path);
  }

  /** Hides a name, if there is something to hide and the layer has nothing in its place. */
  whiteout(path: string): void {
    if (this.#lower.stat(path) === undefined) return;
    const [directory, name] = splitPath(path);
    const parent = this.#ensure(directory);
    if (parent !== undefined) this.#hide(parent, name);
  }

  /** Hides everything in a directory that the layer does not have, or in the root, which cannot be marked. */
  opaque(path: string): void {
    if (path === "") this.#hideAll();
    else if (this.#lower.directory(path) !== undefined) {
      const node = this.#ensure(path);
      if (node !== undefined) markOpaque(this.#upper.handles.of(node), this.#userxattr);
    }
  }

  /** Lets a directory have the attributes of the one below it, in the end. */
  imply(path: string): void {
    const node = this.#upper.directory(path);
    if (node !== undefined && this.#lower.directory(path) !== undefined) this.#implied.add(node);
  }

  /** Sets attributes and times, when nothing more is made. */
  finish(): void {
    for (const [node, times] of this.#before) utimensat(this.#upper.handles.of(node), null, times, 0);
    for (const node of this.#implied) {
      const lower = this.#lower.directory(node.path());
      if (lower === undefined) continue;
      const from = this.#lower.handles.of(lower);
      copyAttributes(from, this.#upper.handles.of(node), statx(from, "", 0), this.#keepOwner);
    }
  }

  close(): void {
    this.#upper.close();
  }

  /** The upper directory at a path, made if it only exists below; `undefined` if the layer has something else there. */
  #ensure(path: string): DirectoryNode | undefined {
    let node = this.#upper.root;
    for (const name of path === "" ? [] : path.split("/")) {
      let next = this.#upper.child(node, name);
      if (next === undefined) {
        const lower = this.#lower.directory(node.pathOf(name));
        if (lower === undefined || this.#upper.statIn(node, name) !== undefined) return undefined;
        mkdirat(this.#changing(node), Buffer.from(name, "latin1"), 0o700);
        next = this.#upper.child(node, name);
        if (next === undefined) return undefined;
        this.#implied.add(next);
      }
      node = next;
    }
    return node;
  }

  /** A descriptor of a directory that is about to be changed. */
  #changing(node: DirectoryNode): number {
    const fd = this.#upper.handles.of(node);
    if (!this.#before.has(node)) {
      const { atime, mtime } = statx(fd, "", 0);
      this.#before.set(node, { atime, mtime });
    }
    return fd;
  }

  #place(path: string): Place {
    const [directory, name] = splitPath(path);
    const node = this.#ensure(directory);
    if (node === undefined) throw changed(`upper directory: no place for "${printableName(path)}"`);
    return { fd: this.#changing(node), name: Buffer.from(name, "latin1") };
  }

  #copy(lowerPath: string, upperPath: string): void {
    const to = this.#place(upperPath);
    const [directory, name] = splitPath(lowerPath);
    const parent = this.#lower.directory(directory);
    const stat = parent === undefined ? undefined : this.#lower.statIn(parent, name);
    if (parent === undefined || stat === undefined)
      throw changed(`lower layers: "${printableName(lowerPath)}" is gone`);
    copyUp({ fd: this.#lower.handles.of(parent), name: Buffer.from(name, "latin1") }, to, stat, this.#keepOwner);
    this.#copies.set(lowerPath, upperPath);
  }

  #hardlink(existing: string, path: string): void {
    const from = this.#place(existing);
    const to = this.#place(path);
    linkat(from.fd, from.name, to.fd, to.name, 0);
  }

  #hide(parent: DirectoryNode, name: string): void {
    if (this.#upper.statIn(parent, name) !== undefined) return;
    mknodat(this.#changing(parent), Buffer.from(name, "latin1"), S_IFCHR, 0);
  }

  #hideAll(): void {
    const fd = this.#lower.handles.of(this.#lower.root);
    for (let batch = getdents64(fd); batch.length > 0; batch = getdents64(fd)) {
      for (const entry of batch) this.#hide(this.#upper.root, entry.name.toString("latin1"));
    }
  }
}

// Somebody else works on the same directories, or the questions are not of this layer.
function changed(message: string): CodedError {
  return new CodedError("ERR_FAILED_PRECONDITION", message);
}
