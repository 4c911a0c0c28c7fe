import { CodedError } from "@varve/errors";
import {
  close,
  EINVAL,
  ELOOP,
  ENOENT,
  ENOTDIR,
  getdents64,
  O_DIRECTORY,
  O_RDONLY,
  openat2,
  SyscallError,
  tryReadlinkat,
} from "@varve/syscalls";
import { DirectoryHandles } from "./directory-handles.ts";
import { DirectoryNode, subtree } from "./directory-node.ts";
import { removeTree } from "./remove-tree.ts";
import type { LayerLimits } from "./types.ts";
import { overLimit } from "../entry-error.ts";

/** What is on the disk under a name: a directory, the text of a link, something else, or nothing. */
type OnDisk = "missing" | "other" | DirectoryNode | { readonly link: string };

/** The directories of one layer, as they are on the disk and as the layer speaks of them. */
export class LayerTree {
  readonly root: DirectoryNode = new DirectoryNode(undefined, "");
  readonly handles: DirectoryHandles;
  readonly #limits: LayerLimits;
  #nodes = 0;
  #mergedFiles = 0;
  #changes = 0;

  /** @param unlocks whether directories are opened up that their owner, who is not root, may not change */
  constructor(path: string, limits: LayerLimits, unlocks: boolean) {
    this.#limits = limits;
    this.handles = new DirectoryHandles(this.root, path, unlocks);
    this.root.exists = true;
    this.root.kept = true;
    this.root.origin = "lower";
  }

  /** Counts what may make a path lead elsewhere than before. */
  get changes(): number {
    return this.#changes;
  }

  /** A node that the tree does not know yet. @throws ERR_RESOURCE_EXHAUSTED too deep */
  node(parent: DirectoryNode, name: string): DirectoryNode {
    if (parent.depth >= this.#limits.depth) throw overLimit("depth", this.#limits.depth);
    return new DirectoryNode(parent, name);
  }

  /** Puts a node, and those above it, into the tree. @throws ERR_RESOURCE_EXHAUSTED too many */
  attach(node: DirectoryNode): void {
    for (let at = node; at.parent !== undefined; at = at.parent) {
      at.parent.children ??= new Map();
      if (at.parent.children.get(at.name) === at) return;
      at.parent.children.set(at.name, at);
      this.#nodes += 1;
      if (this.#nodes > this.#limits.directories) throw overLimit("directories", this.#limits.directories);
    }
  }

  /** Counts a file that is remembered by name. @throws ERR_RESOURCE_EXHAUSTED too many */
  countMergedFile(): void {
    this.#mergedFiles += 1;
    if (this.#mergedFiles > this.#limits.mergedFiles) throw overLimit("mergedFiles", this.#limits.mergedFiles);
  }

  /** What the disk has under a name that the tree does not know. A directory comes as a node that is not attached. */
  inspect(parent: DirectoryNode, name: string): OnDisk {
    const node = this.node(parent, name);
    if (this.handles.unlocks) node.lockedMode = this.handles.unlock(node);
    const result = this.handles.tryOpen(node);
    if (result >= 0) {
      node.exists = true;
      return node;
    }
    if (result === -ENOENT) return "missing";
    if (result !== -ELOOP && result !== -ENOTDIR) throw failure("openat2", result, node);
    const link = tryReadlinkat(this.handles.of(parent), Buffer.from(name, "latin1"));
    if (typeof link !== "number") return { link: link.toString("latin1") };
    if (link === -EINVAL) return "other";
    throw failure("readlinkat", link, node);
  }

  /** Removes a directory that the tree knows, from the tree and from the disk. */
  discard(node: DirectoryNode): void {
    this.#changes += 1;
    for (const each of subtree(node)) {
      each.removed = true;
      this.handles.forget(each);
      this.#nodes -= 1;
    }
    if (node.parent === undefined) throw new CodedError("ERR_INTERNAL", "layer tree: the root cannot be removed");
    node.parent.children?.delete(node.name);
    if (node.exists) removeTree(this.handles, node.parent, node.name);
  }

  /** Removes whatever the disk has under a name that the tree does not know; answers whether there was anything. */
  remove(parent: DirectoryNode, name: string): boolean {
    this.#changes += 1;
    return removeTree(this.handles, parent, name);
  }

  /** The names in a directory, in batches. */
  *names(node: DirectoryNode): Generator<readonly string[], void, undefined> {
    // A descriptor of its own, because every reader moves the place where the next one goes on.
    const fd = openat2(this.handles.of(node), ".", { flags: O_RDONLY | O_DIRECTORY });
    try {
      for (let batch = getdents64(fd); batch.length > 0; batch = getdents64(fd)) {
        yield batch.map((entry) => entry.name.toString("latin1"));
      }
    } finally {
      close(fd);
    }
  }

  close(): void {
    this.handles.closeAll();
  }
}

function failure(syscall: string, result: number, node: DirectoryNode): SyscallError {
  return new SyscallError(syscall, result, { path: Buffer.from(node.path(), "latin1") });
}
