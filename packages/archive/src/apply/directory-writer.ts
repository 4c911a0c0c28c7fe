import { EEXIST, SyscallError, tryMkdirat } from "@varve/syscalls";
import type { TarEntry } from "../tar/tar-entry.ts";
import type { AttributeWriter } from "./attributes.ts";
import { DirectoryNode } from "./directory-node.ts";
import type { LayerTree } from "./layer-tree.ts";
import type { Target } from "./target.ts";
import type { XattrWriter } from "./xattr-writer.ts";

/** Makes directories: those that have an entry, and those that paths imply. Their attributes come when the layer ends. */
export class DirectoryWriter {
  readonly #tree: LayerTree;
  readonly #target: Target;
  readonly #attributes: AttributeWriter;
  readonly #xattrs: XattrWriter;

  constructor(tree: LayerTree, target: Target, attributes: AttributeWriter, xattrs: XattrWriter) {
    this.#tree = tree;
    this.#target = target;
    this.#attributes = attributes;
    this.#xattrs = xattrs;
  }

  /** Makes a directory in place of anything else, or takes the one that is there. */
  write(parent: DirectoryNode, name: string, entry: TarEntry): void {
    this.ensure(parent);
    let node = parent.children?.get(name);
    if (node?.exists === true) this.#clear(node);
    else node = this.#make(parent, name, node);
    this.#target.madeDirectory(node);
    this.#describe(node, entry);
  }

  /** The root is there already, and gets the attributes that its entry names, as moby and umoci do; containerd ignores them. */
  writeRoot(entry: TarEntry): void {
    this.#clear(this.#tree.root);
    this.#describe(this.#tree.root, entry);
  }

  /** Makes a directory, and those above it, if a path only implied them so far. */
  ensure(node: DirectoryNode): void {
    if (node.exists) return;
    const missing: DirectoryNode[] = [];
    for (let at: DirectoryNode | undefined = node; at !== undefined && !at.exists; at = at.parent) missing.push(at);
    for (const each of missing.toReversed()) {
      check(this.#tryMkdir(each));
      this.#made(each);
      this.#target.madeDirectory(each);
    }
  }

  #describe(node: DirectoryNode, entry: TarEntry): void {
    node.origin = "entry";
    node.entryAt = entry.offset;
    node.attributes = this.#attributes.attributesFor(entry);
    if (entry.xattrs.size === 0) return;
    this.#xattrs.set(this.#tree.handles.of(node), entry);
    if (entry.xattrs.has("system.posix_acl_default")) node.inherits = true;
  }

  /** `place`: the node, if the layer spoke of the directory before. */
  #make(parent: DirectoryNode, name: string, place: DirectoryNode | undefined): DirectoryNode {
    const over = this.#target.forget(parent, name);
    if (place !== undefined) {
      if (over) place.fresh = true;
      check(this.#tryMkdir(place));
      this.#made(place);
      return place;
    }
    const node = this.#tree.node(parent, name);
    // Mostly there is nothing, and that is found out by the way.
    let result = this.#tryMkdir(node);
    const occupied = result === -EEXIST;
    if (occupied) {
      const found = this.#tree.inspect(parent, name);
      if (found instanceof DirectoryNode) return this.#take(found);
      this.#tree.remove(parent, name);
      result = this.#tryMkdir(node);
    }
    check(result);
    this.#target.absent(node);
    // Nothing of the lower layers shows through what was a file a moment ago.
    if (occupied || over) node.fresh = true;
    this.#made(node);
    return node;
  }

  /** A directory of the lower layers. */
  #take(found: DirectoryNode): DirectoryNode {
    this.#tree.attach(found);
    this.#target.found(found);
    this.#clear(found);
    return found;
  }

  /** An entry replaces all that a directory had. */
  #clear(node: DirectoryNode): void {
    this.#xattrs.clear(this.#tree.handles.of(node));
    node.inherits = false;
  }

  #tryMkdir({ parent, name }: DirectoryNode): number {
    return parent === undefined ? 0 : tryMkdirat(this.#tree.handles.of(parent), Buffer.from(name, "latin1"), 0o700);
  }

  #made(node: DirectoryNode): void {
    node.exists = true;
    this.#tree.attach(node);
    if (node.parent?.inherits === true) this.#xattrs.dropLists(this.#tree.handles.of(node));
  }
}

function check(result: number): void {
  if (result < 0) throw new SyscallError("mkdirat", result);
}
