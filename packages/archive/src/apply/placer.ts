import { EEXIST, SyscallError } from "@varve/syscalls";
import type { DirectoryNode } from "./directory-node.ts";
import type { DirectoryWriter } from "./directory-writer.ts";
import type { LayerTree } from "./layer-tree.ts";
import type { Target } from "./target.ts";

/** Makes something under a name in an open directory; a failure is the negative error number. */
export type Make = (directory: number, name: Buffer) => number;

/** Puts anything but a directory in place of whatever this layer or a lower one has under a name. */
export class Placer {
  readonly #tree: LayerTree;
  readonly #target: Target;
  readonly #directories: DirectoryWriter;

  constructor(tree: LayerTree, target: Target, directories: DirectoryWriter) {
    this.#tree = tree;
    this.#target = target;
    this.#directories = directories;
  }

  /** @throws the system's error, named after `syscall` */
  place(parent: DirectoryNode, name: string, syscall: string, make: Make): number {
    const result = this.tryPlace(parent, name, make);
    if (result < 0) throw new SyscallError(syscall, result);
    return result;
  }

  /** As `place`, but a failure is the negative error number. */
  tryPlace(parent: DirectoryNode, name: string, make: Make): number {
    this.#directories.ensure(parent);
    const known = parent.children?.get(name);
    if (known !== undefined) this.#tree.discard(known);
    const bytes = Buffer.from(name, "latin1");
    // Mostly there is nothing, and that is found out by the way.
    let result = make(this.#tree.handles.of(parent), bytes);
    if (result === -EEXIST) {
      this.#tree.remove(parent, name);
      result = make(this.#tree.handles.of(parent), bytes);
    }
    if (result >= 0) this.#target.madeFile(parent, name);
    return result;
  }

  /** Takes away whatever is there, and puts nothing in its place. */
  clear(parent: DirectoryNode, name: string): void {
    const known = parent.children?.get(name);
    if (known !== undefined) this.#tree.discard(known);
    else if (parent.exists) this.#tree.remove(parent, name);
    parent.touched = true;
    this.#target.forget(parent, name);
    this.#target.whiteout(parent, name);
  }
}
