import { readFileSync } from "node:fs";

/** One line of `/proc/self/mountinfo`. */
export interface MountTableEntry {
  readonly id: number;
  readonly parentId: number;
  /** Seen from this process's root. */
  readonly mountPoint: Buffer;
  /** Position in the table: older mounts come first. */
  readonly line: number;
}

/** The mounts this process sees. */
export function readMountTable(): readonly MountTableEntry[] {
  // latin1, because paths are bytes; spaces, tabs, newlines and backslashes come as \ and three octal digits.
  const lines = readFileSync("/proc/self/mountinfo", "latin1").split("\n");
  return lines.flatMap((text, line) => {
    const [id, parentId, , , mountPoint] = text.split(" ");
    if (mountPoint === undefined) return [];
    return [{ id: Number(id), parentId: Number(parentId), mountPoint: unescapeOctal(mountPoint), line }];
  });
}

/** Everything mounted below the mount `id`, in an order in which it can be unmounted: what covers before the covered. */
export function mountsBelow(table: readonly MountTableEntry[], id: number): readonly MountTableEntry[] {
  const children = Map.groupBy(table, (entry) => entry.parentId);
  const found: MountTableEntry[] = [];
  const pending = [id];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    for (const child of children.get(next) ?? []) {
      // The root mount of a namespace may name itself as its parent.
      if (child.id === next) continue;
      found.push(child);
      pending.push(child.id);
    }
  }
  // A younger mount may hide an older one, and never the other way round.
  return found.toSorted((a, b) => b.line - a.line);
}

function unescapeOctal(field: string): Buffer {
  const text = field.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
  return Buffer.from(text, "latin1");
}
