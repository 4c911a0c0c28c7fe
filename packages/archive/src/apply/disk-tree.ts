import { AT_SYMLINK_NOFOLLOW, ELOOP, ENOENT, ENOTDIR, type FileStat, SyscallError, tryStatx } from "@varve/syscalls";
import { DirectoryHandles } from "./directory-handles.ts";
import { DirectoryNode } from "./directory-node.ts";

/** A path's directory and last name. */
export function splitPath(path: string): readonly [directory: string, name: string] {
  const slash = path.lastIndexOf("/");
  return [path.slice(0, Math.max(slash, 0)), path.slice(slash + 1)];
}

/** Looks into a tree by true paths: what a link leads to is not there. Strings have one character a byte. */
export class DiskTree {
  readonly root: DirectoryNode = new DirectoryNode(undefined, "");
  readonly handles: DirectoryHandles;

  constructor(path: string) {
    this.handles = new DirectoryHandles(this.root, path);
  }

  /** The directory at a path, or `undefined` if there is none. */
  directory(path: string): DirectoryNode | undefined {
    let node = this.root;
    if (path === "") return node;
    for (const name of path.split("/")) {
      const next = this.child(node, name);
      if (next === undefined) return undefined;
      node = next;
    }
    return node;
  }

  child(parent: DirectoryNode, name: string): DirectoryNode | undefined {
    const known = parent.children?.get(name);
    if (known !== undefined) return known;
    const node = new DirectoryNode(parent, name);
    const result = this.handles.tryOpen(node);
    if (result >= 0) {
      (parent.children ??= new Map()).set(name, node);
      return node;
    }
    if (result === -ENOENT || result === -ENOTDIR || result === -ELOOP) return undefined;
    throw new SyscallError("openat2", result, { path: Buffer.from(node.path(), "latin1") });
  }

  /** What is at a path, links themselves, or `undefined`. */
  stat(path: string): FileStat | undefined {
    const [directory, name] = splitPath(path);
    const parent = this.directory(directory);
    return parent === undefined ? undefined : this.statIn(parent, name);
  }

  statIn(parent: DirectoryNode, name: string): FileStat | undefined {
    const stat = tryStatx(this.handles.of(parent), Buffer.from(name, "latin1"), AT_SYMLINK_NOFOLLOW);
    if (typeof stat !== "number") return stat;
    if (stat === -ENOENT) return undefined;
    throw new SyscallError("statx", stat, { path: Buffer.from(parent.pathOf(name), "latin1") });
  }

  close(): void {
    this.handles.closeAll();
  }
}
