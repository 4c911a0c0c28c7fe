/** A path of an archive, taken apart. Strings have one character a byte. */
export interface EntryPath {
  /** Names from the root down; empty for the root itself. */
  readonly names: readonly string[];
  /** How many directories above the root it starts. */
  readonly above: number;
}

/** Cleans a path as text: no empty names, no `.`, and `..` takes back the name before it. */
export function cleanPath(path: string): EntryPath {
  const names: string[] = [];
  let above = 0;
  for (const name of path.split("/")) {
    if (name === "" || name === ".") continue;
    if (name !== "..") names.push(name);
    // An absolute path cannot go above the root, it is the root's own `..`.
    else if (names.pop() === undefined && !path.startsWith("/")) above += 1;
  }
  return { names, above };
}
