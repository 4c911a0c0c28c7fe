import { CodedError, hasCode } from "@varve/errors";
import type { CreateOptions } from "@varve/snapshots";
import type { Session } from "../database.ts";
import { checkLabels } from "../labels.ts";
import { isBelow, isMade } from "./below.ts";
import { inheritedLabels } from "./inherited-labels.ts";
import { skipUsedNumbers } from "./numbers.ts";
import { leaseAlike, leaseName } from "./place.ts";
import type { SnapshotPlace } from "./place.ts";
import { deleteRow, findRow, insertRow, mustBeActive } from "./rows.ts";
import type { SnapshotRow } from "./rows.ts";
import { inUsersWords } from "./users-words.ts";

/** A commit to make. */
export interface Commitment extends CreateOptions {
  readonly name: string;
  readonly key: string;
}

/** The record of what is committed, and of what it will be. */
interface Reservation {
  readonly from: SnapshotRow;
  readonly to: SnapshotRow;
}

/** Who has the name already. */
interface Taken {
  readonly taken: SnapshotRow;
}

/**
 * The name gets its record first, and has it for itself from then on. The commit below takes effect in one step: at that
 * moment the record of the key loses its snapshot, and that of the name gets it, whatever becomes of this process.
 */
export async function commitSnapshot(place: SnapshotPlace, commitment: Commitment): Promise<void> {
  const { name, labels = {}, signal } = commitment;
  signal?.throwIfAborted();
  if (name === "") throw new CodedError("ERR_INVALID_ARGUMENT", "snapshot: the name is empty");
  checkLabels(`snapshot ${name}`, labels);
  for (let skipped = false; ;) {
    const { from, to } = await reserve(place, commitment);
    try {
      await place.backend.commit(to.backendKey, from.backendKey, { labels: inheritedLabels(labels), signal });
      return await settle(place, from, to);
    } catch (error) {
      const exists = hasCode(error, "ERR_ALREADY_EXISTS");
      const meetsOld = exists && (await isBelow(place.backend, to).catch(() => false));
      await giveBack(place, to);
      if (!meetsOld || skipped) throw inUsersWords(error, namesIn({ from, to }));
    }
    await skipUsedNumbers(place);
    skipped = true;
  }
}

/** @throws ERR_ALREADY_EXISTS the name is taken; it is leased then (U-MD.14) */
async function reserve(place: SnapshotPlace, commitment: Commitment): Promise<Reservation> {
  const { signal } = commitment;
  for (;;) {
    const outcome = await place.database.note((session) => reserveWithin(session, place, commitment), signal);
    await onDisk(place, outcome);
    if ("to" in outcome) return outcome;
    const { taken } = outcome;
    // Active snapshots and views are not waited for: they may be made for a long time, and none is this layer.
    if (taken.kind === "committed" && !(await isMade(place, taken, { signal }))) continue;
    throw new CodedError("ERR_ALREADY_EXISTS", `snapshot ${taken.name}: already exists and is ${taken.kind}`);
  }
}

/** What a commit takes away from its key must be somewhere after a power cut, and a lease that was told must hold. */
async function onDisk(place: SnapshotPlace, outcome: Reservation | Taken): Promise<void> {
  try {
    await place.database.sync();
  } catch (error) {
    if ("to" in outcome) await giveBack(place, outcome.to);
    throw error;
  }
}

function reserveWithin(
  session: Session,
  place: SnapshotPlace,
  { name, key, labels = {} }: Commitment,
): Reservation | Taken {
  const taken = findRow(session, place, name);
  if (taken !== undefined) {
    leaseName(session, place, name);
    return { taken };
  }
  const from = mustBeActive(session, place, key);
  const to = insertRow(session, place, { name, kind: "committed", parent: from.parent, labels, after: from });
  leaseName(session, place, name);
  leaseAlike(session, place, key, name);
  return { from, to };
}

/** The snapshot is committed already: what fails here cannot change that, and the collector finishes it. */
async function settle({ database }: SnapshotPlace, from: SnapshotRow, to: SnapshotRow): Promise<void> {
  let isRecorded = true;
  try {
    await database.note((session) => {
      isRecorded = session.run("UPDATE snapshots SET owner = '' WHERE seq = ?", to.seq) > 0;
      deleteRow(session, from);
    });
  } catch {
    return;
  }
  if (isRecorded) return;
  const why = "was collected while it was committed: hold it by a lease";
  throw new CodedError("ERR_UNAVAILABLE", `snapshot ${to.name}: ${why}`);
}

/** The error that matters is the one we have; a record without a snapshot is the collector's. */
async function giveBack({ database }: SnapshotPlace, to: SnapshotRow): Promise<void> {
  await database.free((session) => deleteRow(session, to)).catch(() => undefined);
}

function namesIn({ from, to }: Reservation): ReadonlyMap<string, string> {
  return new Map([
    [from.backendKey, from.name],
    [to.backendKey, to.name],
  ]);
}
