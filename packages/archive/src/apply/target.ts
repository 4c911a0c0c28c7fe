import type { DirectoryNode } from "./directory-node.ts";
import type { LowerQuestions } from "./types.ts";

/** What differs between writing into the merged tree and writing into an upper directory. */
export interface Target {
  /** If set, whatever else the layer has does not matter any more. */
  readonly redo: string | undefined;
  /** A directory was found on the disk that this layer did not make. */
  found(node: DirectoryNode): void;
  /** Nothing is on the disk under a name: says (in the node) what the lower layers may have there. */
  absent(node: DirectoryNode): void;
  /** As `absent`, and a path leads through it. */
  assume(node: DirectoryNode): void;
  /** Whether the tree may be another than it seems; the layer must be redone then, and nothing is to be refused. */
  doubts(reason: string): boolean;
  /** A path leads through a name whose file is still to come. */
  unknown(parent: DirectoryNode, name: string): boolean;
  madeDirectory(node: DirectoryNode): void;
  /** Anything but a directory was made, over whatever was there. */
  madeFile(parent: DirectoryNode, name: string): void;
  /** Takes back what is to be made under a name; answers whether there was something. */
  forget(parent: DirectoryNode, name: string): boolean;
  /** Removes a name of the lower layers, but nothing of this one. */
  whiteout(parent: DirectoryNode, name: string): void;
  /** Removes everything of the lower layers in a directory. */
  empty(node: DirectoryNode): void;
  /** A hard link to a name that is not on the disk; answers whether it may still be found. */
  linkLater(
    parent: DirectoryNode,
    name: string,
    targetParent: DirectoryNode,
    targetName: string,
    offset: number,
  ): boolean;
  questions(): LowerQuestions | undefined;
}
