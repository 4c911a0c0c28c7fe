import { hasCode } from "@varve/errors";
import { isOwnerAlive } from "@varve/locks";
import { labelTarget } from "@varve/snapshots";
import type { Snapshotter } from "@varve/snapshots";
import type { SnapshotBelow } from "../gc/inventory.ts";
import { orphanSnapshots } from "../gc/orphan-snapshots.ts";
import { isBelow } from "../snapshots/below.ts";
import { findSeq, isRecorded } from "../snapshots/rows.ts";
import type { SnapshotRow } from "../snapshots/rows.ts";
import type { StoreContext } from "../store-context.ts";
import type { Records } from "./records.ts";

/** One snapshotter and what it has, by the keys it knows. */
export interface BackendSnapshots {
  readonly backend: Snapshotter;
  readonly infos: ReadonlyMap<string, SnapshotBelow>;
}

/** A snapshot without a record. */
export interface OrphanedSnapshot {
  readonly snapshotter: string;
  readonly backendKey: string;
}

type Signal = AbortSignal | undefined;

/**
 * Records that say that the snapshot was there, and it is not. Those of whoever is still making it, or was killed at it,
 * are no damage: the collector takes them.
 */
export async function findMissingSnapshots(
  { database }: StoreContext,
  records: Records,
  below: ReadonlyMap<string, BackendSnapshots>,
  signal: Signal,
): Promise<SnapshotRow[]> {
  const missing: SnapshotRow[] = [];
  for (const row of records.snapshots) {
    const place = below.get(row.snapshotter);
    if (row.owner !== "" || place === undefined || place.infos.has(row.backendKey)) continue;
    if (await isBelow(place.backend, row, { signal })) continue;
    const now = await database.read((session) => findSeq(session, row.seq), signal);
    if (now?.backendKey === row.backendKey) missing.push(row);
  }
  return missing;
}

/** Children before their parents. */
export async function findOrphanedSnapshots(
  { database }: StoreContext,
  records: Records,
  below: ReadonlyMap<string, BackendSnapshots>,
  signal: Signal,
): Promise<OrphanedSnapshot[]> {
  const found: OrphanedSnapshot[] = [];
  for (const [snapshotter, { backend, infos }] of below) {
    const staying = records.snapshots
      .filter((row) => row.snapshotter === snapshotter)
      .map(({ backendKey, owner, labels }) => ({ key: backendKey, owner, target: labels[labelTarget] ?? "" }));
    for (const { name } of orphanSnapshots({ infos, staying, gone: [], isAlive: isOwnerAlive })) {
      if (await database.read((session) => isRecorded(session, snapshotter, name), signal)) continue;
      if (await isThere(backend, name, signal)) found.push({ snapshotter, backendKey: name });
    }
  }
  return found;
}

/** Ingests below without a record. Whoever works on one has made its record first. */
export async function findOrphanedIngests(
  { database, content }: StoreContext,
  refs: Iterable<string>,
  signal: Signal,
): Promise<string[]> {
  const found: string[] = [];
  for (const ref of refs) {
    const slash = ref.indexOf("/");
    const row = await database.read(
      (session) =>
        session.get(
          "SELECT 1 FROM ingests WHERE namespace = ? AND ref = ?",
          ref.slice(0, Math.max(slash, 0)),
          ref.slice(slash + 1),
        ),
      signal,
    );
    if (row !== undefined) continue;
    try {
      await content.status(ref, { signal });
      found.push(ref);
    } catch (error) {
      if (!hasCode(error, "ERR_NOT_FOUND")) throw error;
    }
  }
  return found;
}

async function isThere(backend: Snapshotter, name: string, signal: Signal): Promise<boolean> {
  try {
    await backend.stat(name, { signal });
    return true;
  } catch (error) {
    if (hasCode(error, "ERR_NOT_FOUND")) return false;
    throw error;
  }
}
