import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  close,
  fchmodat,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  openat2,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  S_IFDIR,
  S_IFMT,
  SyscallError,
  tryOpenat2,
  tryStatx,
} from "@varve/syscalls";
import type { DirectoryNode } from "./directory-node.ts";

/** Opening never follows a link and never leaves the directory it starts from, whoever changes the tree meanwhile. */
const confined: number = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
const directory: number = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
/** The kernel takes paths of 4,095 bytes, and names have up to 255. */
const pathBytes = 3800;
/** Names that are opened at once. */
const stride = 64;
/** More than one are in use at a time in some places; this is far above, and above all those of the deepest path. */
const openHandles = 96;

/** Descriptors of directories, the least recently used closed when there are many. */
export class DirectoryHandles {
  readonly #root: DirectoryNode;
  readonly #open = new Set<DirectoryNode>();
  #last: DirectoryNode | undefined;

  /** Whether directories that lock out their own owner are opened up; root does not need it. */
  readonly unlocks: boolean;

  /** @param path the root as the caller names it; links in it are followed */
  constructor(root: DirectoryNode, path: string, unlocks = false) {
    this.#root = root;
    this.unlocks = unlocks;
    root.fd = openat2(AT_FDCWD, path, { flags: O_RDONLY | O_DIRECTORY });
  }

  /** A descriptor of a directory on the disk. It stays open for the next few dozen calls. */
  of(node: DirectoryNode): number {
    if (node === this.#last) return node.fd;
    if (node.fd < 0) this.#reopen(node);
    if (node !== this.#root) {
      this.#open.delete(node);
      this.#open.add(node);
    }
    this.#last = node;
    while (this.#open.size > openHandles) this.#closeOldest();
    return node.fd;
  }

  /** As `of`, for a directory of which nobody knows yet whether it is one; a failure is the negative error number. */
  tryOpen(node: DirectoryNode): number {
    if (node.parent === undefined) return node.fd;
    const fd = tryOpenat2(this.of(node.parent), Buffer.from(node.name, "latin1"), {
      flags: directory,
      resolve: confined,
    });
    if (fd < 0) return fd;
    node.fd = fd;
    return this.of(node);
  }

  /** Lets the owner into a directory, and answers the mode it had, if it was another. */
  unlock(node: DirectoryNode): number | undefined {
    if (node.parent === undefined) return undefined;
    const parent = this.of(node.parent);
    const name = Buffer.from(node.name, "latin1");
    const stat = tryStatx(parent, name, AT_SYMLINK_NOFOLLOW);
    if (typeof stat === "number" || (stat.mode & S_IFMT) !== S_IFDIR || (stat.mode & 0o700) === 0o700) return undefined;
    fchmodat(parent, name, (stat.mode % 0o10000) | 0o700, AT_SYMLINK_NOFOLLOW);
    return stat.mode % 0o10000;
  }

  /** Closes the directory's descriptor, for it is read from the start or gone. */
  forget(node: DirectoryNode): void {
    if (node.fd < 0 || node === this.#root) return;
    if (this.#last === node) this.#last = undefined;
    this.#open.delete(node);
    close(node.fd);
    node.fd = -1;
  }

  closeAll(): void {
    for (const node of this.#open) this.forget(node);
    this.#last = undefined;
    if (this.#root.fd >= 0) close(this.#root.fd);
    this.#root.fd = -1;
  }

  /** Opens a directory from the nearest one above it that is open; some on the way stay open, for others will come this way. */
  #reopen(node: DirectoryNode): void {
    const below: DirectoryNode[] = [];
    let from = node;
    while (from.fd < 0 && from.parent !== undefined) {
      below.push(from);
      from = from.parent;
    }
    for (let at = below.length; at > 0;) {
      let path = "";
      let to = from;
      for (let taken = 0; at > 0 && taken < stride && path.length < pathBytes; taken += 1) {
        at -= 1;
        to = below[at] ?? to;
        path = path === "" ? to.name : `${path}/${to.name}`;
      }
      const fd = tryOpenat2(from.fd, Buffer.from(path, "latin1"), { flags: directory, resolve: confined });
      if (fd < 0) throw new SyscallError("openat2", fd, { path: Buffer.from(node.path(), "latin1") });
      to.fd = fd;
      this.#open.add(to);
      from = to;
    }
  }

  #closeOldest(): void {
    for (const node of this.#open) {
      this.forget(node);
      return;
    }
  }
}
