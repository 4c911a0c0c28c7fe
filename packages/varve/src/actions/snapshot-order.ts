import type { SnapshotInfo } from "@varve/snapshots";

/** A snapshot among others. */
export interface PlacedSnapshot {
  readonly info: SnapshotInfo;
  /** How many of the others it stands on. */
  readonly depth: number;
}

/** Parents before children, and what stands on one snapshot together. */
export function parentsFirst(infos: readonly SnapshotInfo[]): PlacedSnapshot[] {
  const names = new Set(infos.map(({ name }) => name));
  const children = new Map<string | undefined, SnapshotInfo[]>();
  for (const info of infos) {
    // One whose parent is not listed stands for itself.
    const parent = info.parent !== undefined && names.has(info.parent) ? info.parent : undefined;
    const siblings = children.get(parent);
    if (siblings === undefined) children.set(parent, [info]);
    else siblings.push(info);
  }
  // The last one first, as a stack takes them.
  const standingOn = (parent: string | undefined, depth: number): PlacedSnapshot[] =>
    (children.get(parent) ?? []).toReversed().map((info) => ({ info, depth }));
  const placed: PlacedSnapshot[] = [];
  const pending = standingOn(undefined, 0);
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    placed.push(next);
    pending.push(...standingOn(next.info.name, next.depth + 1));
  }
  return placed;
}
