import type { Session } from "../database.ts";
import { unleaseName } from "./place.ts";
import type { SnapshotPlace } from "./place.ts";
import type { SnapshotRow } from "./rows.ts";

/** A record that was made for an active snapshot or a view that is to be made. */
export interface Claim {
  readonly row: SnapshotRow;
  /** Whether the lease holds the key only since then. */
  readonly newlyLeased: boolean;
}

/**
 * Notes that the snapshot is there: nobody is making it any more, so that if it is missing one day it is lost. That is worth
 * no failure, since the snapshot can be used without.
 */
export async function markMade({ database }: SnapshotPlace, { row }: Claim): Promise<void> {
  await database
    .note((session) => session.run("UPDATE snapshots SET owner = '' WHERE seq = ?", row.seq))
    .catch(() => 0);
}

/** Takes the record back, whatever has become of the caller. */
export async function unclaim(place: SnapshotPlace, claim: Claim): Promise<void> {
  await place.database.free((session) => unclaimWithin(session, place, claim));
}

/** The same within a write. */
export function unclaimWithin(session: Session, place: SnapshotPlace, { row, newlyLeased }: Claim): void {
  const isGone = session.run("DELETE FROM snapshots WHERE seq = ?", row.seq) > 0;
  if (isGone && newlyLeased) unleaseName(session, place, row.name);
}
