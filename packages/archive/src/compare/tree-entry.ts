import { type FileStat, S_IFDIR, S_IFMT, type Timespec } from "@varve/syscalls";
import type { DirectoryNode } from "../apply/directory-node.ts";

/** A name in a directory. Names have one character a byte. */
export interface Name {
  readonly parent: DirectoryNode;
  readonly name: string;
}

/** One name of a tree and what is there. */
export interface FileEntry extends Name {
  readonly stat: FileStat;
  readonly node?: undefined;
}

/** A directory of a tree, or the root itself. */
export interface DirectoryEntry {
  readonly node: DirectoryNode;
  readonly stat: FileStat;
}

export type TreeEntry = DirectoryEntry | FileEntry;

/** One thing that differs between two trees, found in the order of the bytes of the names. */
export type Step =
  /** `linkTo`: another name of the same file that was told before. */
  | { readonly kind: "added" | "modified"; readonly entry: TreeEntry; readonly linkTo?: Name | undefined }
  /** `parent` is a directory of the upper tree, and `name` one of the lower tree. */
  | { readonly kind: "deleted"; readonly parent: DirectoryNode; readonly name: string }
  /**
   * All that the lower tree has in a directory is gone or replaced; `names` are those that are gone. `covered`: the same was
   * told of a directory above, so that nothing of the lower tree shows anyway.
   */
  | {
      readonly kind: "emptied";
      readonly directory: DirectoryNode;
      readonly names: readonly string[];
      readonly covered: boolean;
    }
  /** A socket, which no layer can hold. */
  | { readonly kind: "socket" };

export function typeOf(stat: FileStat): number {
  return stat.mode & S_IFMT;
}

export function isDirectory(stat: FileStat | undefined): boolean {
  return stat !== undefined && typeOf(stat) === S_IFDIR;
}

export function sameTime(a: Timespec, b: Timespec): boolean {
  return a.seconds === b.seconds && a.nanoseconds === b.nanoseconds;
}

/** The path from the root, without a slash at the start. */
export function pathOf(entry: Name | TreeEntry): string {
  return "parent" in entry ? entry.parent.pathOf(entry.name) : entry.node.path();
}
