import { CodedError } from "@varve/errors";
import type { CallOptions } from "@varve/snapshots";
import type { Session } from "../database.ts";
import { forgetIfLost, isBelow } from "./below.ts";
import type { SnapshotPlace } from "./place.ts";
import { childOf, deleteRow, findSeq, isRecorded, mustFind, notFound } from "./rows.ts";
import type { SnapshotRow } from "./rows.ts";

/** Removes the record, and then, if no other stands for it, the snapshot. What fails below is the collector's (U-MD.15). */
export async function removeSnapshot(place: SnapshotPlace, name: string, options: CallOptions = {}): Promise<void> {
  const { database, backend } = place;
  const row = await database.read((session) => mustFind(session, place, name), options.signal);
  if (!(await isBelow(backend, row, options))) {
    await forgetIfLost(place, row);
    throw notFound(name);
  }
  if (!(await forget(place, row, options))) await backend.remove(row.backendKey).catch(() => undefined);
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
