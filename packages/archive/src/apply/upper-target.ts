import { CodedError } from "@varve/errors";
import { attributesOf } from "./attributes.ts";
import { detached, type DirectoryNode, subtree, type WaitingLink } from "./directory-node.ts";
import { printableName } from "../entry-error.ts";
import type { LayerTree } from "./layer-tree.ts";
import { markOpaque } from "../overlay-marks.ts";
import type { Target } from "./target.ts";
import type { LowerQuestions } from "./types.ts";

/** More bytes of questions than this are no longer written down; the layer is applied in place then. */
const questionBytes = 64 * 1024 * 1024;
/** What a question costs besides its paths. */
const overhead = 64;

/** The root is an empty upper directory, and nobody knows what the lower layers have: it is asked later. */
export class UpperTarget implements Target {
  readonly #tree: LayerTree;
  readonly #userxattr: boolean;
  readonly #assumed: string[] = [];
  readonly #links: WaitingLink[] = [];
  #redo: string | undefined;
  #bytes = 0;

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
    if (this.#count(node.pathBytes)) this.#assumed.push(node.path());
  }

  doubts(reason: string): boolean {
    if (this.#assumed.length > 0) this.#redo ??= reason;
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
    if (this.#count(parent.pathBytes + name.length)) (parent.hidden ??= new Set()).add(detached(name));
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

  linkLater(
    parent: DirectoryNode,
    name: string,
    targetParent: DirectoryNode,
    targetName: string,
    offset: number,
  ): boolean {
    const waiting = targetParent.links?.get(targetName)?.target;
    if (waiting === undefined && (targetParent.fresh || targetParent.hidden?.has(targetName) === true)) return false;
    if (!this.#count(parent.pathBytes + name.length + targetParent.pathBytes + targetName.length)) return true;
    const link = { parent, name: detached(name), target: waiting ?? targetParent.pathOf(targetName), offset };
    (parent.links ??= new Map()).set(link.name, link);
    this.#links.push(link);
    return true;
  }

  questions(): LowerQuestions {
    const implied: string[] = [];
    const whiteouts: string[] = [];
    const opaque: string[] = this.#tree.root.fresh ? [""] : [];
    for (const node of subtree(this.#tree.root)) {
      if (this.#redo !== undefined) break;
      for (const name of node.hidden ?? []) whiteouts.push(node.pathOf(name));
      if (node.origin !== "lower" || !(node.exists || node.fresh) || !this.#count(node.pathBytes)) continue;
      (node.exists ? implied : opaque).push(node.path());
    }
    if (this.#redo !== undefined) return redo(this.#redo);
    return {
      assumed: this.#assumed,
      implied,
      whiteouts,
      opaque,
      links: this.#links.map((link) => ({
        path: link.parent.pathOf(link.name),
        target: link.target,
        offset: link.offset,
        stays: !link.parent.removed && link.parent.links?.get(link.name) === link,
        shows: this.#shows(link.target),
      })),
      redo: this.#redo,
    };
  }

  /** Counts a question that holds so many bytes; answers whether there is room for it. */
  #count(bytes: number): boolean {
    this.#bytes += bytes + overhead;
    if (this.#bytes > questionBytes) this.#redo ??= "too many places depend on the lower layers";
    return this.#redo === undefined;
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

/** The layer is applied again, so nothing else is asked. */
function redo(reason: string): LowerQuestions {
  return { assumed: [], implied: [], whiteouts: [], opaque: [], links: [], redo: reason };
}
