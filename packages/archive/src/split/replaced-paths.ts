import { detached } from "../apply/directory-node.ts";
import { PathMarks } from "./path-marks.ts";

/** Paths that are remembered: 64 MiB. Layers with more than that are rare, and to look into them is never wrong. */
const mostMarks = 2_000_000;

/**
 * Counts entries after which a content may no longer be where its name says, though no content has its name: a directory of
 * it is replaced, or is a link, or it is replaced by what has no content. Knows no links that are in layers below.
 */
export class ReplacedPaths {
  /** Whether a path is a directory, if only as a part of another. */
  readonly #marks = new PathMarks();
  #lastDirectory = "";
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** @param path clean, one character a byte */
  entry(path: string, isDirectory: boolean, hasContent: boolean): void {
    if (path === "") {
      if (hasContent) this.#count += 1;
      return;
    }
    if (this.#marks.count >= mostMarks) {
      this.#count += 1;
      return;
    }
    const before = this.#marks.add(path, isDirectory);
    if (before !== undefined && !(before && isDirectory)) this.#count += 1;
    if (hasContent) this.#directoriesOf(path);
  }

  #directoriesOf(path: string): void {
    const directory = path.slice(0, Math.max(path.lastIndexOf("/"), 0));
    if (directory === this.#lastDirectory) return;
    // Cut out of the path, it would keep all of that.
    this.#lastDirectory = detached(directory);
    this.#count += this.#marks.addParents(path);
  }
}
