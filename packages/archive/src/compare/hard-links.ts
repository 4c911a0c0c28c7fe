import type { FileStat } from "@varve/syscalls";
import type { FileEntry, Name, Step } from "./tree-entry.ts";

/** A file of the upper tree of which some name was met: told as `written`, or by names that are as below and were left out. */
interface Inode {
  written: Name | undefined;
  /** The file below that all the names left out have in common. */
  readonly lower: string;
  names: Name[];
}

/**
 * Keeps hard links together. A layer that has one name of a file must have all of them, for the tools that apply it link only
 * to what the layer itself holds (U-TAR.24). So the names that are as below are remembered, and told after all, as links,
 * once another name of their file is new; and a name that is as below is told if there it was linked to others than here.
 * Only files with several names take memory.
 */
export class HardLinks {
  readonly #inodes = new Map<string, Inode>();
  /** Which upper file has the place of a lower one with several names. */
  readonly #claims = new Map<string, string>();

  /**
   * What to tell of a file.
   *
   * @param lower the file below with the same name, if there is one
   * @param isSame answers whether both are the same, and is only asked when it matters; absent: the file must be told
   */
  *steps(
    entry: FileEntry,
    lower: FileStat | undefined,
    isSame: (() => boolean) | undefined,
  ): Generator<Step, void, undefined> {
    const kind = lower === undefined ? "added" : "modified";
    if (entry.stat.nlink === 1 && (lower === undefined || lower.nlink === 1)) {
      if (isSame?.() !== true) yield { kind, entry };
      return;
    }
    const key = keyOf(entry.stat);
    const inode = this.#inodes.get(key);
    if (inode?.written !== undefined) {
      yield { kind, entry, linkTo: inode.written };
    } else if (lower === undefined || isSame === undefined || !this.#stays(entry, key, inode, lower, isSame)) {
      const names = inode?.names ?? [];
      if (entry.stat.nlink > 1) this.#inodes.set(key, { written: nameOf(entry), lower: "", names: [] });
      yield { kind, entry };
      for (const name of names) yield { kind: "modified", entry: { ...name, stat: entry.stat }, linkTo: nameOf(entry) };
    }
  }

  /** Whether the name can be left out; it is remembered then. */
  #stays(entry: FileEntry, key: string, inode: Inode | undefined, lower: FileStat, isSame: () => boolean): boolean {
    const below = keyOf(lower);
    const claim = this.#claims.get(below);
    if ((claim ?? key) !== key || (inode?.lower ?? below) !== below) return false;
    // One comparison is enough for all names that two files have in common.
    if (inode === undefined && !isSame()) return false;
    if (lower.nlink > 1) this.#claims.set(below, key);
    if (inode !== undefined) inode.names.push(nameOf(entry));
    else if (entry.stat.nlink > 1) {
      this.#inodes.set(key, { written: undefined, lower: below, names: [nameOf(entry)] });
    }
    return true;
  }
}

function keyOf(stat: FileStat): string {
  return `${stat.dev}:${stat.ino}`;
}

function nameOf({ parent, name }: FileEntry): Name {
  return { parent, name };
}
