import { CodedError, hasCode } from "@varve/errors";
import type { CallOptions } from "@varve/snapshots";
import type { Session } from "../database.ts";
import { forgetIfLost, isBelow } from "./below.ts";
import type { SnapshotPlace } from "./place.ts";
import { childOf, deleteRow, findSeq, isRecorded, mustFind, notFound } from "./rows.ts";
import type { SnapshotRow } from "./rows.ts";

/** Removes a snapshot and its record. What then is still below is the collector's (U-MD.15). */
export async function removeSnapshot(place: SnapshotPlace, name: string, options: CallOptions = {}): Promise<void> {
  const { database, backend } = place;
  const row = await database.read((session) => mustFind(session, place, name), options.signal);
  if (!(await isBelow(backend, row, options))) {
    await forgetIfLost(place, row);
    throw notFound(name);
  }
  if (row.kind === "active") return removeActive(place, row);
  if (!(await forget(place, row, options))) await backend.remove(row.backendKey).catch(() => undefined);
}

/**
 * The snapshot goes before its record, so that nobody but a commit can have been faster below: what has no record the
 * collector takes as well. Of a commit and a removal of one key one succeeds. Nothing stands on an active snapshot, and no
 * other record stands for it.
 */
async function removeActive({ database, backend }: SnapshotPlace, row: SnapshotRow): Promise<void> {
  await backend.remove(row.backendKey).catch((error: unknown) => {
    if (hasCode(error, "ERR_NOT_FOUND")) throw notFound(row.name);
    // What cannot go now is the collector's once it has no record.
  });
  // If this fails, a record without a snapshot may be left, which is nothing to callers and the collector's.
  await database.free((session) => deleteRow(session, row));
}

/** Removes a record, and says whether another stands for the same snapshot. */
async function forget(place: SnapshotPlace, row: SnapshotRow, { signal }: CallOptions): Promise<boolean> {
  for (;;) {
    const outcome = await place.database.free((session) => forgetWithin(session, row), signal);
    if (typeof outcome === "boolean") return outcome;
    if (!(await forgetIfLost(place, outcome))) throw hasChild(row, outcome);
  }
}

function forgetWithin(session: Session, row: SnapshotRow): SnapshotRow | boolean {
  const current = findSeq(session, row.seq);
  if (current === undefined) throw notFound(row.name);
  const child = childOf(session, row.seq);
  if (child !== undefined) return child;
  deleteRow(session, current);
  return isRecorded(session, current.snapshotter, current.backendKey);
}

function hasChild({ name }: SnapshotRow, child: SnapshotRow): CodedError {
  const why = `cannot be removed: snapshot ${child.name} stands on it`;
  return new CodedError("ERR_FAILED_PRECONDITION", `snapshot ${name}: ${why}`);
}
