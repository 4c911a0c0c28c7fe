import { CodedError } from "@varve/errors";
import { labelTarget } from "@varve/snapshots";
import type { SnapshotInfo } from "@varve/snapshots";
import type { Session } from "../database.ts";
import { unclaim, unclaimWithin } from "./claim.ts";
import type { Claim } from "./claim.ts";
import { leaseName } from "./place.ts";
import type { SnapshotPlace } from "./place.ts";
import { findRow, findSeq } from "./rows.ts";
import { inUsersWords } from "./users-words.ts";

/**
 * The snapshotter below has what a snapshot is prepared for, made by itself or for another namespace: it gets a record
 * here too (U-MD.13).
 *
 * @throws ERR_ALREADY_EXISTS always when it was found: there is nothing to prepare
 * @throws ERR_NOT_FOUND it is not there on top of this parent
 * @throws ERR_INVALID_ARGUMENT the parent was replaced meanwhile
 */
export async function adopt(place: SnapshotPlace, claim: Claim, target: string, cause: unknown): Promise<never> {
  try {
    const info = await findBelow(place, claim, target);
    if (info === undefined) throw notBelow(claim, target, cause);
    await place.database.write((session) => {
      record(session, place, { claim, info, target });
      leaseName(session, place, target);
      unclaimWithin(session, place, claim);
    });
  } catch (error) {
    // The error that matters is the one we have; a record without a snapshot is the collector's.
    await unclaim(place, claim).catch(() => undefined);
    throw error;
  }
  const told = inUsersWords(cause, new Map([[claim.row.backendKey, claim.row.name]]));
  throw new CodedError("ERR_ALREADY_EXISTS", `snapshot ${target}: already exists`, { cause: told });
}

function notBelow({ row }: Claim, target: string, cause: unknown): CodedError {
  const on = row.parentName === undefined ? "without a parent" : `on ${row.parentName}`;
  return new CodedError("ERR_NOT_FOUND", `snapshot ${row.name}: target ${target} ${on}: not found`, { cause });
}

async function findBelow(place: SnapshotPlace, { row }: Claim, target: string): Promise<SnapshotInfo | undefined> {
  for await (const info of place.backend.walk()) {
    const isIt = info.kind === "committed" && info.labels[labelTarget] === target && info.parent === row.parentKey;
    if (isIt) return info;
  }
  return undefined;
}

interface Adoption {
  readonly claim: Claim;
  readonly info: SnapshotInfo;
  readonly target: string;
}

function record(session: Session, place: SnapshotPlace, { claim, info, target }: Adoption): void {
  const { parent, parentKey } = claim.row;
  if (parent !== undefined && findSeq(session, parent)?.backendKey !== parentKey) {
    throw new CodedError("ERR_INVALID_ARGUMENT", `snapshot ${target}: its parent has changed meanwhile`);
  }
  // Somebody else was faster.
  if (findRow(session, place, target) !== undefined) return;
  session.run(
    `INSERT INTO snapshots (namespace, snapshotter, name, kind, parent, backend_key, owner, labels, created_at, updated_at)
     VALUES (?, ?, ?, 'committed', ?, ?, '', ?, ?, ?)`,
    place.namespace,
    place.snapshotter,
    target,
    parent ?? null,
    info.name,
    JSON.stringify(info.labels),
    info.createdAt.getTime(),
    info.updatedAt.getTime(),
  );
}
