import { type FileStat, S_IFSOCK } from "@varve/syscalls";
import { DirectoryNode } from "../apply/directory-node.ts";
import { EntryComparer } from "./entry-comparer.ts";
import { HardLinks } from "./hard-links.ts";
import type { NameList } from "./name-list.ts";
import { OverlayMarks } from "./overlay-marks.ts";
import { type DirectoryEntry, type FileEntry, isDirectory, type Step, typeOf } from "./tree-entry.ts";
import type { TreeReader } from "./tree-reader.ts";

/** A directory that is being gone through. */
interface Frame {
  readonly upper: DirectoryNode;
  /** The directory below. */
  readonly lower: DirectoryNode | undefined;
  /** Whether what is below does not show through, for the upper directory is opaque or is in one that is. */
  readonly covered: boolean;
  /** Whether empty files with an attribute are whiteouts here. */
  readonly marked: boolean;
  readonly names: NameList;
  at: number;
}

/**
 * Goes through the upper directory of an overlay, in which the kernel has put down what changed (kernel documentation,
 * overlayfs). Of the lower tree only single names are looked up, and the names in directories that became opaque.
 */
export class UpperWalk {
  readonly #upper: TreeReader;
  readonly #lower: TreeReader | undefined;
  readonly #comparer: EntryComparer | undefined;
  readonly #marks: OverlayMarks;
  readonly #links = new HardLinks();
  readonly #stack: Frame[] = [];
  readonly #check: () => void;

  constructor(upper: TreeReader, lower: TreeReader | undefined, userxattr: boolean, check: () => void) {
    this.#upper = upper;
    this.#lower = lower;
    this.#check = check;
    // All contents are read: few files are as they were before they were copied up.
    this.#comparer = lower === undefined ? undefined : new EntryComparer(upper, lower, { contents: true, check });
    this.#marks = new OverlayMarks(upper, userxattr);
  }

  *steps(): Generator<Step, void, undefined> {
    const root = { node: this.#upper.root, stat: this.#upper.statDirectory(this.#upper.root) };
    yield* this.#enter(root, this.#lower?.root, this.#lower?.statDirectory(this.#lower.root), false);
    for (let frame = this.#stack.at(-1); frame !== undefined; frame = this.#stack.at(-1)) {
      this.#check();
      const name = frame.names.at(frame.at);
      frame.at += 1;
      if (name === undefined) this.#leave(frame);
      else yield* this.#entry(frame, name);
    }
  }

  *#entry(frame: Frame, name: string): Generator<Step, void, undefined> {
    const parent = frame.upper;
    const entry = { parent, name, stat: this.#upper.stat(parent, name) };
    const below = frame.lower === undefined ? undefined : this.#lower?.find(frame.lower, name);
    // What a covered directory hides was told with the marker.
    const hides = below !== undefined && !frame.covered;
    if (this.#marks.isWhiteout(entry, frame.marked)) {
      if (hides) yield { kind: "deleted", parent, name };
    } else if (isDirectory(entry.stat)) {
      const lower = isDirectory(below) ? new DirectoryNode(frame.lower, name) : undefined;
      yield* this.#enter({ node: new DirectoryNode(parent, name), stat: entry.stat }, lower, below, frame.covered);
    } else if (typeOf(entry.stat) === S_IFSOCK) {
      yield { kind: "socket" };
      // What was there before is not there any more.
      if (hides && typeOf(below) !== S_IFSOCK) yield { kind: "deleted", parent, name };
    } else {
      this.#marks.mustBeWhole(entry);
      yield* this.#links.steps(entry, below, this.#question(frame, entry, below));
    }
  }

  /** How to find out whether a file is as below, if it can be. */
  #question(frame: Frame, entry: FileEntry, below: FileStat | undefined): (() => boolean) | undefined {
    const { lower } = frame;
    // The kernel takes a file out of its group of hard links when it copies it up.
    if (lower === undefined || below === undefined || frame.covered || below.nlink > 1) return undefined;
    return () => this.#comparer?.sameFile(entry, { parent: lower, name: entry.name, stat: below }) === true;
  }

  /**
   * Tells a directory if it differs itself, and goes on with what is in it.
   *
   * @param lower the directory below with the same name, if that is one
   * @param below what is there below
   */
  *#enter(
    entry: DirectoryEntry,
    lower: DirectoryNode | undefined,
    below: FileStat | undefined,
    covered: boolean,
  ): Generator<Step, void, undefined> {
    const { node } = entry;
    const mark = this.#marks.ofDirectory(entry);
    const shows = lower !== undefined && below !== undefined && !covered;
    const same = shows && this.#comparer?.sameDirectory(entry, { node: lower, stat: below }) === true;
    if (!same) yield { kind: below === undefined ? "added" : "modified", entry };
    const names = this.#upper.names(node);
    const marked = mark === "x";
    // The kernel takes no such mark on the root.
    const opaque = covered || (mark === "y" && node.parent !== undefined);
    const frame = { upper: node, lower, covered: opaque, marked, names, at: 0 };
    if (opaque && lower !== undefined) yield* this.#emptied(frame, lower, covered);
    this.#stack.push(frame);
  }

  /** Tells that nothing of a lower directory shows, if there is anything in it. */
  *#emptied(frame: Frame, lower: DirectoryNode, covered: boolean): Generator<Step, void, undefined> {
    const below = [...(this.#lower?.names(lower) ?? [])];
    if (below.length === 0) return;
    const gone = below.filter((name) => {
      if (!frame.names.has(name)) return true;
      const entry = { parent: frame.upper, name, stat: this.#upper.stat(frame.upper, name) };
      return this.#marks.isWhiteout(entry, frame.marked);
    });
    yield { kind: "emptied", directory: frame.upper, names: gone, covered };
  }

  #leave(frame: Frame): void {
    this.#stack.pop();
    this.#upper.leave(frame.upper);
    if (frame.lower !== undefined) this.#lower?.leave(frame.lower);
  }
}
