import { CodedError } from "@varve/errors";
import { labelTarget, labelUpperDirectory } from "@varve/snapshots";
import type { CallOptions, SnapshotInfo } from "@varve/snapshots";
import type { Session } from "../database.ts";
import { findBelow, isMade } from "./below.ts";
import { unclaim, unclaimWithin } from "./claim.ts";
import type { Claim } from "./claim.ts";
import { leaseName } from "./place.ts";
import type { SnapshotPlace } from "./place.ts";
import { quoted } from "./quoted.ts";
import { findRow, findSeq } from "./rows.ts";
import type { SnapshotRow } from "./rows.ts";

/** What the snapshotter below has, instead of what was claimed. */
export interface Find extends CallOptions {
  readonly claim: Claim;
  /** The name that it gets here. */
  readonly target: string;
  /** Its name below; if that was not said it is looked for by its label. */
  readonly name?: string | undefined;
  /** What the snapshotter below said. */
  readonly cause?: unknown;
}

/**
 * The snapshotter below has what a snapshot is prepared for, made by itself or for another namespace: it gets a record
 * here too, under the lease, and the claim ends (U-MD.13). `undefined`: somebody else was making it, and has given up.
 *
 * @throws ERR_NOT_FOUND it is not there on top of this parent
 * @throws ERR_INVALID_ARGUMENT the parent was replaced meanwhile
 * @throws ERR_ALREADY_EXISTS an active snapshot or a view has the name
 */
export async function adopt(place: SnapshotPlace, find: Find): Promise<SnapshotRow | undefined> {
  const { claim, target, signal } = find;
  try {
    const info = find.name === undefined ? await search(place, find) : await look(place, find, find.name);
    if (info === undefined) throw notBelow(find);
    const row = await place.database.write((session) => {
      const recorded = record(session, place, { claim, info, target });
      leaseName(session, place, target);
      unclaimWithin(session, place, claim);
      return recorded;
    });
    return (await isMade(place, row, { signal })) ? row : undefined;
  } catch (error) {
    // The error that matters is the one we have; a record without a snapshot is the collector's.
    await unclaim(place, claim).catch(() => undefined);
    throw error;
  }
}

function notBelow({ claim: { row }, target, cause }: Find): CodedError {
  const on = row.parentName === undefined ? "without a parent" : `on ${row.parentName}`;
  return new CodedError("ERR_NOT_FOUND", `snapshot ${row.name}: target ${target} ${on}: not found`, { cause });
}

/** By its label. Whether the snapshotter below knows filters or not, what it shows is looked at. */
async function search(place: SnapshotPlace, { claim, target, signal }: Find): Promise<SnapshotInfo | undefined> {
  const label = `labels.${quoted(labelTarget)}==${quoted(target)}`;
  const filters = [`kind==committed,${label},parent==${quoted(claim.row.parentKey ?? "")}`];
  for await (const info of place.backend.walk({ filters, signal })) {
    if (info.labels[labelTarget] === target && isUsable(info, claim)) return info;
  }
  return undefined;
}

async function look(place: SnapshotPlace, { claim, signal }: Find, name: string): Promise<SnapshotInfo | undefined> {
  const info = await findBelow(place.backend, { backendKey: name }, { signal });
  return info !== undefined && isUsable(info, claim) ? info : undefined;
}

function isUsable({ kind, parent }: SnapshotInfo, { row }: Claim): boolean {
  return kind === "committed" && parent === row.parentKey;
}

interface Adoption {
  readonly claim: Claim;
  readonly info: SnapshotInfo;
  readonly target: string;
}

function record(session: Session, place: SnapshotPlace, { claim, info, target }: Adoption): SnapshotRow {
  const { parent, parentKey } = claim.row;
  if (parent !== undefined && findSeq(session, parent)?.backendKey !== parentKey) {
    throw new CodedError("ERR_INVALID_ARGUMENT", `snapshot ${target}: its parent has changed meanwhile`);
  }
  const taken = findRow(session, place, target);
  // Somebody else was faster.
  if (taken?.kind === "committed") return taken;
  if (taken !== undefined) {
    throw new CodedError("ERR_ALREADY_EXISTS", `snapshot ${target}: already exists and is ${taken.kind}`);
  }
  const { [labelUpperDirectory]: _shown, ...labels } = info.labels;
  session.run(
    `INSERT INTO snapshots (namespace, snapshotter, name, kind, parent, backend_key, owner, labels, created_at, updated_at)
     VALUES (?, ?, ?, 'committed', ?, ?, '', ?, ?, ?)`,
    place.namespace,
    place.snapshotter,
    target,
    parent ?? null,
    info.name,
    JSON.stringify(labels),
    info.createdAt.getTime(),
    info.updatedAt.getTime(),
  );
  const row = findRow(session, place, target);
  if (row === undefined) throw new CodedError("ERR_INTERNAL", `snapshot ${target}: its record is missing`);
  return row;
}
