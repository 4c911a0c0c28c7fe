import type { TarTime } from "../tar/tar-entry.ts";

/** Owner, permission bits and times of a directory. */
export interface DirectoryAttributes {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: TarTime;
  readonly atime: TarTime;
}

/** What a directory gets that the layer implies and no lower layer has. A fixed time, so that trees are reproducible. */
export const defaultAttributes: DirectoryAttributes = {
  mode: 0o755,
  uid: 0,
  gid: 0,
  mtime: { seconds: 0, nanoseconds: 0 },
  atime: { seconds: 0, nanoseconds: 0 },
};

/** A hard link that waits for the lower layers. */
export interface WaitingLink {
  readonly parent: DirectoryNode;
  readonly name: string;
  readonly target: string;
  readonly offset: number;
}

/**
 * One directory that the layer touches, at its true place (no links on the way). Names have one character a byte.
 * Files are not kept: what was made can be seen on the disk.
 */
export class DirectoryNode {
  readonly parent: DirectoryNode | undefined;
  readonly name: string;
  readonly depth: number;
  /** Bytes of its path. */
  readonly pathBytes: number;
  children: Map<string, DirectoryNode> | undefined;
  /** Descriptor, managed by `DirectoryHandles`. */
  fd = -1;
  /** Whether it is on the disk; if not, it is only a place that an entry or whiteout spoke of. */
  exists = false;
  /** Whether it was taken out of the tree since. */
  removed = false;
  /** Whether nothing of the lower layers shows in it. */
  fresh = false;
  /** Whether this layer made something in it or wants it there, so that no whiteout may remove it. */
  kept = false;
  /** In place: whether names of the lower layers were removed from it. */
  touched = false;
  /** Where its attributes come from: its own entry, the directory of the lower layers, or nowhere. */
  origin: "default" | "entry" | "lower" = "default";
  /** Those of the entry, or (in place) those it had before the layer. */
  attributes: DirectoryAttributes | undefined;
  /** Where its entry is in the archive, if it has one. */
  entryAt: number | undefined;
  /** The mode it had before it was opened up. */
  lockedMode: number | undefined;
  /** Whether files made in it inherit access control lists, which no entry asked for. */
  inherits = false;
  /** In place: names of files that this layer made, if something of the lower layers may be beside them. */
  made: Set<string> | undefined;
  /** In an upper directory: names that whiteouts hide. */
  hidden: Set<string> | undefined;
  /** In an upper directory: hard links to lower files. */
  links: Map<string, WaitingLink> | undefined;

  constructor(parent: DirectoryNode | undefined, name: string) {
    this.parent = parent;
    this.name = detached(name);
    this.depth = parent === undefined ? 0 : parent.depth + 1;
    this.pathBytes = parent === undefined ? 0 : parent.pathBytes + 1 + name.length;
  }

  /** Names from the root to here, joined by `/`; empty for the root. */
  path(): string {
    if (this.parent === undefined) return "";
    const names = [this.name];
    for (let at = this.parent; at.parent !== undefined; at = at.parent) names.push(at.name);
    return names.toReversed().join("/");
  }

  /** The path of a name in this directory. */
  pathOf(name: string): string {
    return this.parent === undefined ? name : `${this.path()}/${name}`;
  }
}

/** The name as a string of its own. What was cut out of a path keeps all of that path in memory. */
export function detached(name: string): string {
  return name.length < 13 ? name : Buffer.from(name, "latin1").toString("latin1");
}

/** The node and all below it, parents first. */
export function* subtree(top: DirectoryNode): Generator<DirectoryNode, void, undefined> {
  const stack = [top];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    yield node;
    for (const child of node.children?.values() ?? []) stack.push(child);
  }
}

/** Whether `node` is what has this name in `parent`, or is somewhere in it. */
export function isInside(node: DirectoryNode, parent: DirectoryNode, name: string): boolean {
  let at: DirectoryNode | undefined = node;
  while (at !== undefined && (at.parent !== parent || at.name !== name)) at = at.parent;
  return at !== undefined;
}
