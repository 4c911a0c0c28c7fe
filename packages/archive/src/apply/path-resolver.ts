import { DirectoryNode } from "./directory-node.ts";
import { Refusal } from "../entry-error.ts";
import type { LayerTree } from "./layer-tree.ts";
import type { Target } from "./target.ts";

/** As many links as containerd follows (behaviours.md U-TAR.13); the kernel gives up after 40. */
const mostLinks = 255;
/** Steps that one path may take, those of the links in it included. */
const mostSteps = 16_384;

/**
 * Finds the directory that a path leads to, seen from the root of the layer: links are followed, those that are absolute
 * or go up end inside the root. The last name of an entry's path is not for this class, it is never followed.
 */
export class PathResolver {
  readonly #tree: LayerTree;
  readonly #target: Target;
  /** The path that was resolved last, for the next one is often the same or goes on from it. */
  #last: Resolved;
  #lastPath: string | undefined;
  #lastChanges = -1;
  #isCertain = false;

  constructor(tree: LayerTree, target: Target) {
    this.#tree = tree;
    this.#target = target;
    this.#last = { node: tree.root, links: 0, steps: 0, certain: true };
  }

  /**
   * Whether the last path led only through directories and links that are there: it leads to the same place then until
   * something is removed (`LayerTree.changes`). What is not there yet may become a link.
   */
  get isCertain(): boolean {
    return this.#isCertain;
  }

  /** The directory, which may not be on the disk; or why there can be none. */
  resolve(names: readonly string[]): DirectoryNode | Refusal {
    const path = names.join("/");
    let start: Resolved = { node: this.#tree.root, links: 0, steps: 0, certain: true };
    let rest = names;
    const last = this.#lastPath;
    if (last !== undefined && this.#tree.changes === this.#lastChanges) {
      if (path === last) {
        this.#isCertain = true;
        return this.#last.node;
      }
      if (path.startsWith(`${last}/`)) {
        start = this.#last;
        rest = path.slice(last.length + 1).split("/");
      }
    }
    const result = this.#walk(start, rest);
    this.#isCertain = !(result instanceof Refusal) && result.certain;
    if (result instanceof Refusal) return result;
    if (result.certain) {
      this.#lastPath = path === "" ? undefined : path;
      this.#last = result;
      this.#lastChanges = this.#tree.changes;
    }
    return result.node;
  }

  #walk(start: Resolved, names: readonly string[]): Resolved | Refusal {
    const stack = names.toReversed();
    let { node, links, steps, certain } = start;
    for (let name = stack.pop(); name !== undefined; name = stack.pop()) {
      steps += 1;
      if (steps > mostSteps) return new Refusal("path-links", "the path takes too many steps");
      if (name === "" || name === ".") continue;
      if (name === "..") {
        node = node.parent ?? node;
        continue;
      }
      const next = this.#enter(node, name);
      if (next instanceof DirectoryNode) {
        node = next;
        certain &&= next.exists;
      } else if (next === undefined) {
        return new Refusal("path-parent", "a parent is not a directory");
      } else {
        links += 1;
        if (links > mostLinks) return new Refusal("path-links", "too many links in the path");
        if (next.link.startsWith("/")) node = this.#tree.root;
        for (const part of next.link.split("/").toReversed()) stack.push(part);
      }
    }
    return { node, links, steps, certain };
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

/** Where a path leads, and what it took. */
interface Resolved {
  readonly node: DirectoryNode;
  readonly links: number;
  readonly steps: number;
  readonly certain: boolean;
}
