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
  readonly removed: SnapshotRow[];
  /** Those that somebody uses, and what they stand on. */
  readonly kept: { readonly row: SnapshotRow; readonly user: SnapshotRow }[];
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

/** Removes snapshots and all that stand on them, but for those that are in use, and what these stand on. */
export async function dropSnapshots(
  context: StoreContext,
  roots: readonly SnapshotRow[],
  signal: AbortSignal | undefined,
): Promise<Dropped> {
  const dropped: Dropped = { removed: [], kept: [] };
  for (const root of roots) {
    const tree = await context.database.read((session) => subtreeOf(session, root.seq), signal);
    await dropTree(context, tree, dropped, signal);
  }
  return dropped;
}

async function dropTree(
  context: StoreContext,
  tree: readonly SnapshotRow[],
  dropped: Dropped,
  signal: AbortSignal | undefined,
): Promise<void> {
  // By number, who uses a snapshot.
  const users = new Map<number, SnapshotRow>();
  for (const row of tree.toReversed()) {
    signal?.throwIfAborted();
    const backend = await context.snapshotters.get(row.snapshotter);
    const isThere = await isBelow(backend, row, { signal });
    const isUsed = isUnderWay(row) || (isThere && row.kind !== "committed" && !isAbandoned(row));
    const user = users.get(row.seq) ?? (isUsed ? row : await remove(context, backend, row, isThere));
    if (user === undefined) dropped.removed.push(row);
    else if (row.parent !== undefined) users.set(row.parent, user);
    if (user !== undefined && user.seq !== row.seq) dropped.kept.push({ row, user });
  }
}

/** What a process was unpacking a layer into when it was killed. */
function isAbandoned({ labels }: SnapshotRow): boolean {
  return isExtraction(labels) && !isOwnerAlive(labels[labelOwner] ?? "");
}

/** The record, and then the snapshot. Says what has come to stand on it meanwhile, if that keeps it. */
async function remove(
  { database }: StoreContext,
  backend: Snapshotter,
  row: SnapshotRow,
  isThere: boolean,
): Promise<SnapshotRow | undefined> {
  let isShared = false;
  const child = await database.free((session) => {
    const standing = childOf(session, row.seq);
    if (standing !== undefined) return standing;
    const current = findSeq(session, row.seq);
    if (current !== undefined) deleteRow(session, current);
    isShared = isRecorded(session, row.snapshotter, row.backendKey);
    return undefined;
  });
  if (child === undefined && isThere && !isShared) await ignoreMissing(backend.remove(row.backendKey));
  return child;
}
