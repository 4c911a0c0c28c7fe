import { CodedError } from "@varve/errors";
import type { Mount } from "@varve/mount";
import type { RebaseOptions, Rebaser } from "@varve/snapshots";
import type { Session } from "../database.ts";
import type { SnapshotPlace } from "./place.ts";
import { mustBeActive, mustBeParent, mustFind, namesIn } from "./rows.ts";
import type { SnapshotRow } from "./rows.ts";
import { inUsersWords } from "./users-words.ts";

/** Which snapshot gets which parent. */
export interface NewParent extends RebaseOptions {
  readonly key: string;
  readonly parent: string;
}

/** The record first: from then on nobody can remove the parent. */
export async function rebaseSnapshot(
  place: SnapshotPlace,
  rebaser: Rebaser,
  { key, parent, signal, volatile }: NewParent,
): Promise<readonly Mount[]> {
  const { database } = place;
  const section = (session: Session): Change => putOn(session, place, { key, parent });
  const { row, base, isNew } = await (volatile === true
    ? database.note(section, signal)
    : database.write(section, signal));
  try {
    return await rebaser.rebase(row.backendKey, base.backendKey, { signal, volatile });
  } catch (error) {
    // The error that matters is the one we have.
    if (isNew) await database.write((session) => takeOff(session, row, base)).catch(() => undefined);
    throw inUsersWords(error, new Map([...namesIn(row), [base.backendKey, base.name]]));
  }
}

interface Change {
  readonly row: SnapshotRow;
  readonly base: SnapshotRow;
  readonly isNew: boolean;
}

function putOn(session: Session, place: SnapshotPlace, { key, parent }: NewParent): Change {
  mustFind(session, place, key);
  const base = mustBeParent(session, place, parent);
  const row = mustBeActive(session, place, key);
  if (row.parent !== undefined && row.parent !== base.seq) {
    const why = `cannot be put on ${parent}: its parent is ${row.parentName ?? ""}`;
    throw new CodedError("ERR_INVALID_ARGUMENT", `snapshot ${key}: ${why}`);
  }
  const isNew = row.parent === undefined;
  if (isNew) {
    const sql = "UPDATE snapshots SET parent = ?, updated_at = max(updated_at, ?) WHERE seq = ?";
    session.run(sql, base.seq, Date.now(), row.seq);
  }
  return { row, base, isNew };
}

function takeOff(session: Session, row: SnapshotRow, base: SnapshotRow): void {
  session.run("UPDATE snapshots SET parent = NULL WHERE seq = ? AND parent = ?", row.seq, base.seq);
}
