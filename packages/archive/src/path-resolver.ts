import { DirectoryNode } from "./directory-node.ts";
import type { LayerTree } from "./layer-tree.ts";
import type { Target } from "./target.ts";

/** As many links as containerd follows (behaviours.md U-TAR.13); the kernel gives up after 40. */
const mostLinks = 255;
/** Steps that one path may take, those of the links in it included. */
const mostSteps = 65_536;

/**
 * Finds the directory that a path leads to, seen from the root of the layer: links are followed, those that are absolute
 * or go up end inside the root. The last name of an entry's path is not for this class, it is never followed.
 */
export class PathResolver {
  readonly #tree: LayerTree;
  readonly #target: Target;
  #lastPath: string | undefined;
  #lastNode: DirectoryNode;
  #lastChanges = -1;

  constructor(tree: LayerTree, target: Target) {
    this.#tree = tree;
    this.#target = target;
    this.#lastNode = tree.root;
  }

  /** The directory, which may not be on the disk; or why there can be none. */
  resolve(names: readonly string[]): DirectoryNode | string {
    const path = names.join("/");
    if (path === this.#lastPath && this.#tree.changes === this.#lastChanges) return this.#lastNode;
    const node = this.#walk(names);
    if (node instanceof DirectoryNode && node.exists) {
      this.#lastPath = path;
      this.#lastNode = node;
      this.#lastChanges = this.#tree.changes;
    }
    return node;
  }

  #walk(names: readonly string[]): DirectoryNode | string {
    const stack = names.toReversed();
    let node = this.#tree.root;
    let links = 0;
    let steps = 0;
    for (let name = stack.pop(); name !== undefined; name = stack.pop()) {
      steps += 1;
      if (steps > mostSteps) return "path takes too many steps";
      if (name === "" || name === ".") continue;
      if (name === "..") {
        node = node.parent ?? node;
        continue;
      }
      const next = this.#enter(node, name);
      if (next instanceof DirectoryNode) {
        node = next;
      } else if (next === undefined) {
        return "a parent is not a directory";
      } else {
        links += 1;
        if (links > mostLinks) return "too many links in the path";
        if (next.link.startsWith("/")) node = this.#tree.root;
        for (const part of next.link.split("/").toReversed()) stack.push(part);
      }
    }
    return node;
  }

  #enter(parent: DirectoryNode, name: string): DirectoryNode | { readonly link: string } | undefined {
    const known = parent.children?.get(name);
    if (known !== undefined) return known;
    if (this.#target.unknown(parent, name)) return undefined;
    const found = parent.exists ? this.#tree.inspect(parent, name) : "missing";
    if (found === "other") return undefined;
    if (found instanceof DirectoryNode) {
      this.#tree.attach(found);
      this.#target.found(found);
    }
    if (found !== "missing") return found;
    const node = this.#tree.node(parent, name);
    this.#target.assume(node);
    return node;
  }
}
