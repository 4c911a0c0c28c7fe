import { CodedError } from "@varve/errors";
import { attributesOf } from "./attributes.ts";
import { type DirectoryNode, subtree, type WaitingLink } from "./directory-node.ts";
import { printableName } from "./entry-error.ts";
import type { LayerTree } from "./layer-tree.ts";
import { markOpaque } from "./overlay-marks.ts";
import type { Target } from "./target.ts";
import type { LowerQuestions } from "./types.ts";

/** More places than this are no longer written down; the layer is applied in place then. */
const mostAssumed = 250_000;

/** The root is an empty upper directory, and nobody knows what the lower layers have: it is asked later. */
export class UpperTarget implements Target {
  readonly #tree: LayerTree;
  readonly #userxattr: boolean;
  readonly #assumed = new Set<string>();
  readonly #links: WaitingLink[] = [];
  #redo: string | undefined;

  constructor(tree: LayerTree, userxattr: boolean) {
    this.#tree = tree;
    this.#userxattr = userxattr;
    for (const names of tree.names(tree.root)) {
      throw new CodedError(
        "ERR_FAILED_PRECONDITION",
        `upper directory: not empty: has "${printableName(names[0] ?? "")}"`,
      );
    }
    tree.root.attributes = attributesOf(tree.handles.of(tree.root));
  }

  get redo(): string | undefined {
    return this.#redo;
  }

  found(node: DirectoryNode): void {
    const name = printableName(node.path());
    throw new CodedError("ERR_FAILED_PRECONDITION", `upper directory: somebody else made "${name}"`);
  }

  absent(node: DirectoryNode): void {
    const { parent, name } = node;
    node.fresh = parent?.fresh === true || parent?.hidden?.has(name) === true;
    node.origin = node.fresh ? "default" : "lower";
  }

  assume(node: DirectoryNode): void {
    this.absent(node);
    if (node.fresh) return;
    this.#assumed.add(node.path());
    if (this.#assumed.size > mostAssumed) this.#redo ??= "too many places depend on the lower layers";
  }

  doubts(reason: string): boolean {
    if (this.#assumed.size > 0) this.#redo ??= reason;
    return this.#redo !== undefined;
  }

  unknown(parent: DirectoryNode, name: string): boolean {
    if (parent.links?.has(name) !== true) return false;
    this.#redo ??= `a path leads through "${printableName(parent.pathOf(name))}", a hard link to a lower file`;
    return true;
  }

  madeDirectory(node: DirectoryNode): void {
    const { parent } = node;
    // Below an opaque directory nothing shows through; the root of a layer itself cannot be opaque.
    const covered = parent === undefined || (parent.fresh && parent.parent !== undefined);
    if (node.fresh && !covered) markOpaque(this.#tree.handles.of(node), this.#userxattr);
  }

  madeFile(parent: DirectoryNode, name: string): void {
    this.forget(parent, name);
  }

  forget(parent: DirectoryNode, name: string): boolean {
    return parent.links?.delete(name) === true;
  }

  whiteout(parent: DirectoryNode, name: string): void {
    if (parent.fresh) return;
    const child = parent.children?.get(name);
    if (child !== undefined) {
      this.empty(child);
      if (child.origin === "lower") child.origin = "default";
      if (child.exists) return;
    }
    this.#tree.attach(parent);
    (parent.hidden ??= new Set()).add(name);
  }

  empty(top: DirectoryNode): void {
    if (top.fresh) return;
    this.#tree.attach(top);
    const stack = [top];
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      node.fresh = true;
      node.hidden = undefined;
      for (const child of node.children?.values() ?? []) {
        if (child.origin === "lower") child.origin = "default";
        if (child.fresh) continue;
        stack.push(child);
        if (node === this.#tree.root) this.#mark(child);
      }
    }
    this.#mark(top);
  }

  linkLater(parent: DirectoryNode, name: string, targetParent: DirectoryNode, targetName: string): boolean {
    const waiting = targetParent.links?.get(targetName)?.target;
    if (waiting === undefined && (targetParent.fresh || targetParent.hidden?.has(targetName) === true)) return false;
    const link = { parent, name, target: waiting ?? targetParent.pathOf(targetName) };
    (parent.links ??= new Map()).set(name, link);
    this.#links.push(link);
    return true;
  }

  questions(): LowerQuestions {
    const implied: string[] = [];
    const whiteouts: string[] = [];
    const opaque: string[] = this.#tree.root.fresh ? [""] : [];
    for (const node of subtree(this.#tree.root)) {
      if (node.origin === "lower" && node.exists) implied.push(node.path());
      if (node.origin === "lower" && !node.exists && node.fresh) opaque.push(node.path());
      for (const name of node.hidden ?? []) whiteouts.push(node.pathOf(name));
    }
    return {
      assumed: [...this.#assumed],
      implied,
      whiteouts,
      opaque,
      links: this.#links.map((link) => ({
        path: link.parent.pathOf(link.name),
        target: link.target,
        stays: !link.parent.removed && link.parent.links?.get(link.name) === link,
        shows: this.#shows(link.target),
      })),
      redo: this.#redo,
    };
  }

  /** Whether a lower file, if there is one, shows through the layer as it is now. */
  #shows(path: string): boolean {
    let node = this.#tree.root;
    for (const name of path.split("/")) {
      // A link that waits will be in the place of what the lower layers have.
      if (node.fresh || node.hidden?.has(name) === true || node.links?.has(name) === true) return false;
      const child = node.children?.get(name);
      if (child === undefined) return !node.exists || this.#tree.inspect(node, name) === "missing";
      node = child;
    }
    return !node.exists;
  }

  #mark(node: DirectoryNode): void {
    if (node.exists && node.parent !== undefined) markOpaque(this.#tree.handles.of(node), this.#userxattr);
  }
}
