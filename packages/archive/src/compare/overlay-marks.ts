import { S_IFCHR, S_IFREG } from "@varve/syscalls";
import { type DirectoryEntry, type FileEntry, pathOf, type TreeEntry, typeOf } from "./tree-entry.ts";
import { treeError } from "./tree-error.ts";
import type { TreeReader } from "./tree-reader.ts";

/**
 * Reads what overlayfs has written into an upper directory: whiteouts are character devices 0:0, or empty files with an
 * attribute in a directory that is marked `x`; an opaque directory is marked `y`.
 */
export class OverlayMarks {
  readonly #upper: TreeReader;
  readonly #prefix: string;

  constructor(upper: TreeReader, userxattr: boolean) {
    this.#upper = upper;
    this.#prefix = userxattr ? "user.overlay." : "trusted.overlay.";
  }

  /** @param marked whether the directory may have whiteouts that are files */
  isWhiteout(entry: FileEntry, marked: boolean): boolean {
    const { stat } = entry;
    if (typeOf(stat) === S_IFCHR) return stat.rdev === 0;
    return marked && typeOf(stat) === S_IFREG && stat.size === 0 && this.#has(entry, ["whiteout"]) !== undefined;
  }

  /** The mark of a directory, if it has one. @throws ERR_NOT_IMPLEMENTED it shows a directory of another name */
  ofDirectory(entry: DirectoryEntry): string | undefined {
    const marks = this.#upper.attributeNames(entry);
    if (marks.includes(`${this.#prefix}redirect`)) throw notTold(entry, "redirect");
    if (!marks.includes(`${this.#prefix}opaque`)) return undefined;
    return this.#upper.attribute(entry, `${this.#prefix}opaque`).toString("latin1");
  }

  /** @throws ERR_NOT_IMPLEMENTED only a part of what changed is in the upper directory */
  mustBeWhole(entry: FileEntry): void {
    if (typeOf(entry.stat) !== S_IFREG) return;
    // The content of the first two is below; the last is there when names in lower layers show this file too (`index=on`).
    const mark = this.#has(entry, ["metacopy", "redirect", "nlink"]);
    if (mark !== undefined) throw notTold(entry, mark);
  }

  #has(entry: TreeEntry, marks: readonly string[]): string | undefined {
    const names = this.#upper.attributeNames(entry);
    return names.length === 0 ? undefined : marks.find((mark) => names.includes(this.#prefix + mark));
  }
}

function notTold(entry: TreeEntry, mark: string): Error {
  const why = `has overlay's attribute "${mark}", so the upper directory does not tell all: walk the mounted trees instead`;
  return treeError("ERR_NOT_IMPLEMENTED", pathOf(entry), why);
}
