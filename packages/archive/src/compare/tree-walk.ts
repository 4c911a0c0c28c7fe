import { type FileStat, S_IFSOCK } from "@varve/syscalls";
import { DirectoryNode } from "../apply/directory-node.ts";
import { type CompareOptions, EntryComparer } from "./entry-comparer.ts";
import { HardLinks } from "./hard-links.ts";
import type { Names } from "./name-list.ts";
import { type FileEntry, isDirectory, type Step, typeOf } from "./tree-entry.ts";
import type { TreeReader } from "./tree-reader.ts";

/** A directory that is being gone through. */
interface Frame {
  readonly upper: DirectoryNode;
  readonly lower: DirectoryNode | undefined;
  readonly names: Names;
  /** Names of the lower directory that are still to be looked at. */
  readonly below: Names;
  at: number;
  atBelow: number;
}

/** Goes through two trees side by side. A stack and not recursion, for trees can be deep. */
export class TreeWalk {
  readonly #upper: TreeReader;
  readonly #lower: TreeReader | undefined;
  readonly #comparer: EntryComparer | undefined;
  readonly #links = new HardLinks();
  readonly #stack: Frame[] = [];
  readonly #check: () => void;

  constructor(upper: TreeReader, lower: TreeReader | undefined, options: CompareOptions) {
    this.#upper = upper;
    this.#lower = lower;
    this.#check = options.check;
    this.#comparer = lower === undefined ? undefined : new EntryComparer(upper, lower, options);
  }

  *steps(): Generator<Step, void, undefined> {
    const root = this.#upper.root;
    const stat = this.#upper.statDirectory(root);
    yield* this.#enter(root, stat, this.#lower?.root, this.#lower?.statDirectory(this.#lower.root));
    for (let frame = this.#stack.at(-1); frame !== undefined; frame = this.#stack.at(-1)) {
      this.#check();
      const name = frame.names.at(frame.at);
      const below = frame.below.at(frame.atBelow);
      if (below !== undefined && (name === undefined || below < name)) {
        frame.atBelow += 1;
        yield { kind: "deleted", parent: frame.upper, name: below };
      } else if (name !== undefined) {
        frame.at += 1;
        if (name === below) frame.atBelow += 1;
        yield* this.#entry(frame, name, name === below);
      } else this.#leave(frame);
    }
  }

  *#entry(frame: Frame, name: string, isBelow: boolean): Generator<Step, void, undefined> {
    const parent = frame.upper;
    const stat = this.#upper.stat(parent, name);
    const lower = isBelow && frame.lower !== undefined ? this.#lower?.stat(frame.lower, name) : undefined;
    if (isDirectory(stat)) {
      const node = new DirectoryNode(parent, name);
      yield* this.#enter(node, stat, isDirectory(lower) ? new DirectoryNode(frame.lower, name) : undefined, lower);
    } else if (typeOf(stat) === S_IFSOCK) {
      yield { kind: "socket" };
      // What was there before is not there any more.
      if (lower !== undefined && typeOf(lower) !== S_IFSOCK) yield { kind: "deleted", parent, name };
    } else {
      const entry = { parent, name, stat };
      yield* this.#links.steps(entry, lower, this.#question(entry, frame.lower, lower));
    }
  }

  /** How to find out whether a file is as below, if there is one. */
  #question(
    entry: FileEntry,
    parent: DirectoryNode | undefined,
    stat: FileStat | undefined,
  ): (() => boolean) | undefined {
    if (parent === undefined || stat === undefined) return undefined;
    return () => this.#comparer?.sameFile(entry, { parent, name: entry.name, stat }) === true;
  }

  /**
   * Tells a directory if it differs itself, and goes on with what is in it.
   *
   * @param lower the directory below with the same name, if that is one
   * @param below what is there below
   */
  *#enter(
    node: DirectoryNode,
    stat: FileStat,
    lower: DirectoryNode | undefined,
    below: FileStat | undefined,
  ): Generator<Step, void, undefined> {
    const same =
      lower !== undefined &&
      below !== undefined &&
      this.#comparer?.sameDirectory({ node, stat }, { node: lower, stat: below }) === true;
    if (!same) yield { kind: below === undefined ? "added" : "modified", entry: { node, stat } };
    const names = this.#upper.names(node);
    const lowerNames = lower === undefined ? [] : (this.#lower?.names(lower) ?? []);
    const frame = { upper: node, lower, names, below: lowerNames, at: 0, atBelow: 0 };
    const gone = lower === undefined ? undefined : this.#emptied(node, lower, names, lowerNames);
    if (gone === undefined) this.#stack.push(frame);
    else {
      yield { kind: "emptied", directory: node, names: gone, covered: false };
      const others = new Set(gone);
      this.#stack.push({ ...frame, below: [...lowerNames].filter((name) => !others.has(name)) });
    }
  }

  /**
   * The names that are gone, if one marker can stand for them: there are several, and whatever else the lower directory had
   * is of another type now, so that it is told in any case. Not in the root, where overlayfs takes no such mark.
   */
  #emptied(upper: DirectoryNode, lower: DirectoryNode, names: Names, lowerNames: Names): string[] | undefined {
    if (upper.parent === undefined || lowerNames.length < 2) return undefined;
    const gone: string[] = [];
    let at = 0;
    for (const name of lowerNames) {
      while (at < names.length && (names.at(at) ?? "") < name) at += 1;
      if (names.at(at) !== name) gone.push(name);
      else if (!this.#hasOtherType(upper, lower, name)) return undefined;
    }
    return gone.length < 2 ? undefined : gone;
  }

  #hasOtherType(upper: DirectoryNode, lower: DirectoryNode, name: string): boolean {
    const below = this.#lower?.stat(lower, name);
    return below !== undefined && typeOf(this.#upper.stat(upper, name)) !== typeOf(below);
  }

  #leave(frame: Frame): void {
    this.#stack.pop();
    this.#upper.leave(frame.upper);
    if (frame.lower !== undefined) this.#lower?.leave(frame.lower);
  }
}
