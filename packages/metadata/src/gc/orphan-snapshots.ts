import type { Node } from "./graph.ts";
import type { SnapshotBelow } from "./inventory.ts";
import type { SnapshotRecord } from "./load-graph.ts";

/** A snapshot below that goes. */
export interface OrphanSnapshot {
  readonly name: string;
  readonly parent: string | undefined;
  /** Its record, if it had one. */
  readonly node?: Node | undefined;
}

export interface OrphanSearch {
  /** What is below, of one snapshotter. */
  readonly infos: ReadonlyMap<string, SnapshotBelow>;
  /** The records that stay. */
  readonly staying: readonly Pick<SnapshotRecord, "key" | "owner" | "target">[];
  /** What the records that go stand for, whether it was seen below or not: their numbers are never given again. */
  readonly gone: readonly OrphanSnapshot[];
  readonly isAlive: (owner: string) => boolean;
}

/** What can be removed below, children before their parents. */
export function orphanSnapshots({ infos, staying, gone, isAlive }: OrphanSearch): readonly OrphanSnapshot[] {
  const kept = new Set<string>();
  const keys = new Set(staying.map(({ key }) => key));
  const awaited = new Set(
    staying
      .filter(({ key, target, owner }) => target !== "" && !infos.has(key) && isAlive(owner))
      .map(({ target }) => target),
  );
  for (const [name, { target }] of infos) {
    if (keys.has(name) || (target !== undefined && awaited.has(target))) {
      keepWithParents(name, infos, kept);
    }
  }
  const orphans = new Map<string, OrphanSnapshot>();
  for (const orphan of gone) if (!kept.has(orphan.name)) orphans.set(orphan.name, orphan);
  for (const [name, { parent }] of infos) {
    if (!kept.has(name)) orphans.set(name, { ...orphans.get(name), name, parent });
  }
  return childrenFirst(orphans);
}

/** What something kept stands on is kept, whatever the records say of it. */
function keepWithParents(name: string, infos: ReadonlyMap<string, SnapshotBelow>, kept: Set<string>): void {
  for (let at: string | undefined = name; at !== undefined && !kept.has(at); at = infos.get(at)?.parent) kept.add(at);
}

/** Without recursion, and without losing what stands on something that is not there (G-42). */
function childrenFirst(orphans: ReadonlyMap<string, OrphanSnapshot>): readonly OrphanSnapshot[] {
  const children = new Map<string, number>();
  for (const { parent } of orphans.values()) {
    if (parent !== undefined && orphans.has(parent)) children.set(parent, (children.get(parent) ?? 0) + 1);
  }
  const ordered = [...orphans.values()].filter(({ name }) => !children.has(name));
  for (let index = 0; index < ordered.length; index += 1) {
    const parent = orphans.get(ordered[index]?.parent ?? "");
    if (parent === undefined) continue;
    const left = (children.get(parent.name) ?? 0) - 1;
    children.set(parent.name, left);
    if (left === 0) ordered.push(parent);
  }
  // Snapshots that claim to stand on each other: tried all the same.
  const placed = new Set(ordered.map(({ name }) => name));
  return [...ordered, ...[...orphans.values()].filter(({ name }) => !placed.has(name))];
}
