import { mkdir, readFile, readdir, readlink, rename, rm, symlink, unlink, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";

/** Changes of a tree, by paths in it. */
export interface TreeChanges {
  readonly create: (path: string, text: string) => Promise<void> | void;
  /** In place of as many characters or fewer. */
  readonly overwrite: (path: string, text: string) => Promise<void> | void;
  readonly link: (path: string, text: string) => Promise<void> | void;
  readonly directory: (path: string) => Promise<void> | void;
  readonly rename: (from: string, to: string) => Promise<void> | void;
  readonly remove: (path: string) => Promise<void> | void;
  /** With all that is in it. */
  readonly removeDirectory: (path: string) => Promise<void> | void;
}

/** Makes the changes in a directory. */
export function changesIn(root: string): TreeChanges {
  const at = (path: string): string => join(root, path);
  return {
    create: (path, text) => writeFile(at(path), text, { flag: "wx" }),
    // To truncate a file costs a flush on some filesystems.
    overwrite: (path, text) => writeFile(at(path), text, { flag: "r+" }),
    link: (path, text) => symlink(text, at(path)),
    directory: (path) => mkdir(at(path)),
    rename: (from, to) => rename(at(from), at(to)),
    remove: (path) => unlink(at(path)),
    removeDirectory: (path) => rm(at(path), { recursive: true }),
  };
}

/** What the same changes make of nothing. */
export class FlatTree implements TreeChanges {
  readonly #entries: Map<string, string> = new Map();

  /** As `linesOf` a directory. */
  lines(): readonly string[] {
    return Array.from(this.#entries, ([path, what]) => `${path} ${what}`).toSorted();
  }

  names(): readonly string[] {
    return [...this.#entries.keys()].filter((path) => !path.includes("/")).toSorted();
  }

  create(path: string, text: string): void {
    this.#entries.set(path, `file ${text}`);
  }

  overwrite(path: string, text: string): void {
    this.create(path, text);
  }

  link(path: string, text: string): void {
    this.#entries.set(path, `link ${text}`);
  }

  directory(path: string): void {
    this.#entries.set(path, "directory ");
  }

  rename(from: string, to: string): void {
    this.#entries.set(to, this.#entries.get(from) ?? "");
    this.#entries.delete(from);
  }

  remove(path: string): void {
    this.#entries.delete(path);
  }

  removeDirectory(path: string): void {
    for (const other of this.#entries.keys()) {
      if (other === path || other.startsWith(`${path}/`)) this.#entries.delete(other);
    }
  }
}

/** One line for each file, link and directory below `root`, with what is in it; sorted. */
export async function linesOf(root: string): Promise<readonly string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const lines = entries.map(async (entry) => {
    const path = join(entry.parentPath, entry.name);
    const name = relative(root, path);
    if (entry.isDirectory()) return `${name} directory `;
    return entry.isSymbolicLink()
      ? `${name} link ${await readlink(path)}`
      : `${name} file ${await readFile(path, "utf8")}`;
  });
  return (await Promise.all(lines)).toSorted();
}
