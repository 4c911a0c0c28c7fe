import { CodedError, hasCode } from "@varve/errors";
import { backoffDelays, sleep } from "@varve/locks";
import type { CallOptions, SnapshotInfo, Snapshotter } from "@varve/snapshots";
import type { Database } from "../database.ts";
import { deleteRow, findSeq, isUnderWay, subtreeOf } from "./rows.ts";
import type { SnapshotRow } from "./rows.ts";

const patienceMs = 60_000;

/** Where a record and its snapshot are. */
export interface Halves {
  readonly database: Database;
  readonly backend: Snapshotter;
}

/**
 * The snapshot of a record. A record without one is being made, or is what a killed process left: nobody sees it.
 */
export async function findBelow(
  backend: Snapshotter,
  { backendKey }: Pick<SnapshotRow, "backendKey">,
  { signal }: CallOptions = {},
): Promise<SnapshotInfo | undefined> {
  try {
    return await backend.stat(backendKey, { signal });
  } catch (error) {
    if (hasCode(error, "ERR_NOT_FOUND")) return undefined;
    throw error;
  }
}

/** Whether the snapshot of a record exists. */
export async function isBelow(backend: Snapshotter, row: SnapshotRow, options: CallOptions = {}): Promise<boolean> {
  return (await findBelow(backend, row, options)) !== undefined;
}

/**
 * Drops a record whose snapshot is gone for good, and those that stand on it, which then are gone too. Says whether that
 * was so.
 */
export async function forgetIfLost({ database, backend }: Halves, row: SnapshotRow): Promise<boolean> {
  const lost = await database.read((session) => subtreeOf(session, row.seq));
  for (const one of lost) if (isUnderWay(one) || (await isBelow(backend, one))) return false;
  return database.write((session) => {
    const known = new Set(lost.map(({ seq }) => seq));
    if (subtreeOf(session, row.seq).some(({ seq }) => !known.has(seq))) return false;
    for (const one of lost.toReversed()) deleteRow(session, one);
    return true;
  });
}

/**
 * Waits while somebody is making what is recorded. Says whether it is there; if not, its record is gone.
 *
 * @throws ERR_UNAVAILABLE it is still being made after a minute
 */
export async function isMade(halves: Halves, row: SnapshotRow, options: CallOptions = {}): Promise<boolean> {
  const deadline = performance.now() + patienceMs;
  for (const delay of backoffDelays({ cap: 256 })) {
    if (await isBelow(halves.backend, row, options)) return true;
    const gone = (await halves.database.read((session) => findSeq(session, row.seq), options.signal)) === undefined;
    if (gone || (await forgetIfLost(halves, row))) return false;
    if (performance.now() > deadline) break;
    await sleep(delay + 1, options);
  }
  throw new CodedError("ERR_UNAVAILABLE", `snapshot ${row.name}: is being made by somebody else`);
}
