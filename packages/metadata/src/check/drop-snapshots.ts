import { labelUncompressed } from "@varve/content";
import type { Digest } from "@varve/digest";
import { isOwnerAlive } from "@varve/locks";
import { labelDiffId, labelOwner } from "@varve/snapshots";
import type { Snapshotter } from "@varve/snapshots";
import { findBlob } from "../content/blob-rows.ts";
import type { Session } from "../database.ts";
import { isBelow } from "../snapshots/below.ts";
import { isExtraction } from "../snapshots/extraction.ts";
import {
  childOf,
  deleteRow,
  findSeq,
  isRecorded,
  isUnderWay,
  selectSnapshots,
  snapshotRowOf,
  subtreeOf,
} from "../snapshots/rows.ts";
import type { SnapshotRow } from "../snapshots/rows.ts";
import type { StoreContext } from "../store-context.ts";
import type { ImageNeeds } from "./image-needs.ts";
import { ignoreMissing } from "./mend-blobs.ts";

/** What has become of snapshots that should go. */
export interface Dropped {
  /** Nobody sees them any more: their names are free. */
  readonly removed: SnapshotRow[];
  /** Those that somebody uses, and what they stand on. */
  readonly kept: { readonly row: SnapshotRow; readonly user: SnapshotRow }[];
  /** Those of the removed that the snapshotter could not remove: they are the collector's now. */
  readonly failed: { readonly row: SnapshotRow; readonly error: unknown }[];
}

export interface DropOptions {
  readonly signal: AbortSignal | undefined;
  /** They are of no use to anybody, whatever kind they are. Default: false. */
  readonly areUseless?: boolean | undefined;
}

/** The snapshots that a namespace has unpacked from a layer: by the configs of its images, and by what the labels say. */
export function unpackedFrom(
  session: Session,
  layer: { readonly namespace: string; readonly digest: Digest },
  images: readonly ImageNeeds[],
): SnapshotRow[] {
  const { namespace, digest } = layer;
  const names = new Set<string>();
  for (const image of images) {
    if (image.namespace !== namespace) continue;
    for (const chain of image.chains) {
      for (const [index, name] of chain.names.entries()) if (chain.layers[index] === digest) names.add(name);
    }
  }
  // A layer that is not compressed is its own diff ID.
  const diffId = findBlob(session, namespace, digest)?.labels[labelUncompressed] ?? digest;
  const where = "WHERE s.namespace = ? AND s.kind = 'committed' AND";
  const rows = [...names].flatMap((name) => session.all(`${selectSnapshots} ${where} s.name = ?`, namespace, name));
  rows.push(...session.all(`${selectSnapshots} ${where} instr(s.labels, ?) > 0`, namespace, diffId));
  const found = rows.map(snapshotRowOf).filter(({ name, labels }) => names.has(name) || labels[labelDiffId] === diffId);
  return [...new Map(found.map((row) => [row.seq, row])).values()];
}

/**
 * Removes snapshots and all that stand on them, but for those that are in use, and what these stand on. One that the
 * snapshotter cannot remove stops none of the others (G-42).
 */
export async function dropSnapshots(
  context: StoreContext,
  roots: readonly SnapshotRow[],
  { signal, areUseless = false }: DropOptions,
): Promise<Dropped> {
  const dropped: Dropped = { removed: [], kept: [], failed: [] };
  for (const root of roots) {
    const tree = await context.database.read((session) => subtreeOf(session, root.seq), signal);
    await dropTree(context, tree, dropped, { signal, useless: areUseless ? root.seq : undefined });
  }
  return dropped;
}

interface TreeOptions {
  readonly signal: AbortSignal | undefined;
  /** The number of the one that is of no use. */
  readonly useless: number | undefined;
}

async function dropTree(
  context: StoreContext,
  tree: readonly SnapshotRow[],
  dropped: Dropped,
  { signal, useless }: TreeOptions,
): Promise<void> {
  // By number, who uses a snapshot.
  const users = new Map<number, SnapshotRow>();
  // By number, on what something stands below that could not be removed.
  const blocked = new Set<number>();
  for (const row of tree.toReversed()) {
    signal?.throwIfAborted();
    const backend = await context.snapshotters.get(row.snapshotter);
    const isThere = await isBelow(backend, row, { signal });
    const isUsed =
      row.seq !== useless && (isUnderWay(row) || (isThere && row.kind !== "committed" && !isAbandoned(row)));
    const user = users.get(row.seq) ?? (isUsed ? row : await forget(context, row));
    if (user !== undefined) {
      if (row.parent !== undefined) users.set(row.parent, user);
      if (user.seq !== row.seq) dropped.kept.push({ row, user });
      continue;
    }
    dropped.removed.push(row);
    const isGone = !isThere || (!blocked.has(row.seq) && (await remove(context, backend, row, dropped)));
    if (!isGone && row.parent !== undefined) blocked.add(row.parent);
  }
}

/** What a process was unpacking a layer into when it was killed. */
function isAbandoned({ labels }: SnapshotRow): boolean {
  return isExtraction(labels) && !isOwnerAlive(labels[labelOwner] ?? "");
}

/** Removes the record. Says what has come to stand on it meanwhile, if that keeps it. */
function forget({ database }: StoreContext, row: SnapshotRow): Promise<SnapshotRow | undefined> {
  return database.free((session) => {
    const standing = childOf(session, row.seq);
    if (standing !== undefined) return standing;
    const current = findSeq(session, row.seq);
    if (current !== undefined) deleteRow(session, current);
    return undefined;
  });
}

/** Removes what has no record any more, in no namespace. Says whether it is out of the way of what it stands on. */
async function remove(
  { database }: StoreContext,
  backend: Snapshotter,
  row: SnapshotRow,
  { failed }: Dropped,
): Promise<boolean> {
  const { snapshotter, backendKey } = row;
  if (await database.read((session) => isRecorded(session, snapshotter, backendKey))) return false;
  try {
    await ignoreMissing(backend.remove(backendKey));
    return true;
  } catch (error) {
    failed.push({ row, error });
    return false;
  }
}
