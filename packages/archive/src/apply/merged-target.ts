import { tryFgetxattr } from "@varve/syscalls";
import { attributesOf } from "./attributes.ts";
import { detached, type DirectoryNode } from "./directory-node.ts";
import type { LayerTree } from "./layer-tree.ts";
import type { Target } from "./target.ts";

/** The root is the merged tree: what the lower layers left is there, and whiteouts remove it. */
export class MergedTarget implements Target {
  readonly redo = undefined;
  readonly #tree: LayerTree;

  constructor(tree: LayerTree) {
    this.#tree = tree;
    this.found(tree.root);
    const [anything] = tree.names(tree.root);
    tree.root.fresh = anything === undefined;
  }

  found(node: DirectoryNode): void {
    const fd = this.#tree.handles.of(node);
    node.origin = "lower";
    const attributes = attributesOf(fd);
    node.attributes = { ...attributes, mode: node.lockedMode ?? attributes.mode };
    node.inherits = typeof tryFgetxattr(fd, "system.posix_acl_default") !== "number";
  }

  absent(node: DirectoryNode): void {
    node.fresh = true;
  }

  assume(node: DirectoryNode): void {
    this.absent(node);
  }

  doubts(): boolean {
    return false;
  }

  unknown(): boolean {
    return false;
  }

  madeDirectory(node: DirectoryNode): void {
    for (let at: DirectoryNode | undefined = node; at !== undefined && !at.kept; at = at.parent) at.kept = true;
  }

  madeFile(parent: DirectoryNode, name: string): void {
    this.madeDirectory(parent);
    if (parent.fresh || parent.made?.has(name) === true) return;
    this.#tree.countMergedFile();
    (parent.made ??= new Set()).add(detached(name));
  }

  forget(): boolean {
    return false;
  }

  whiteout(parent: DirectoryNode, name: string): void {
    if (!parent.exists || parent.fresh || parent.made?.has(name) === true) return;
    const child = parent.children?.get(name);
    if (child?.kept === true) {
      this.empty(child);
      if (child.origin === "lower") child.origin = "default";
      return;
    }
    this.#remove(parent, name, child);
  }

  empty(top: DirectoryNode): void {
    if (!top.exists || top.fresh) return;
    const stack = [top];
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      for (const names of this.#tree.names(node)) {
        for (const name of names) {
          const child = node.children?.get(name);
          if (child?.kept === true) {
            if (!child.fresh) stack.push(child);
            // The directory stays, but it is not that of the lower layers any more, which is gone.
            if (child.origin === "lower") child.origin = "default";
          } else if (node.made?.has(name) !== true) this.#remove(node, name, child);
        }
      }
      node.fresh = true;
      node.made = undefined;
    }
  }

  #remove(parent: DirectoryNode, name: string, child: DirectoryNode | undefined): void {
    if (child !== undefined) this.#tree.discard(child);
    if (child?.exists === true || this.#tree.remove(parent, name)) parent.touched = true;
  }

  linkLater(): boolean {
    return false;
  }

  questions(): undefined {
    return undefined;
  }
}
