import { CodedError, hasCode } from "@varve/errors";
import { labelTarget } from "@varve/snapshots";
import type { CreateOptions } from "@varve/snapshots";
import type { Session } from "../database.ts";
import { checkLabels } from "../labels.ts";
import type { Labels } from "../labels.ts";
import { useNamespace } from "../namespace-rows.ts";
import { adopt } from "./adopt.ts";
import { forgetIfLost, isBelow, isMade } from "./below.ts";
import { unclaim } from "./claim.ts";
import type { Claim } from "./claim.ts";
import { isExtraction } from "./extraction.ts";
import { skipUsedNumbers } from "./numbers.ts";
import { leaseName } from "./place.ts";
import type { SnapshotPlace } from "./place.ts";
import { findRow, insertRow, mustBeParent, namesIn } from "./rows.ts";
import type { SnapshotRow } from "./rows.ts";
import { inUsersWords } from "./users-words.ts";

/** An active snapshot or a view to make. */
export interface Request extends CreateOptions {
  readonly kind: "active" | "view";
  readonly key: string;
  readonly parent: string | undefined;
  /** What it will be committed as, if that is known: nothing is to be made if that exists (U-MD.13). */
  readonly target?: string | undefined;
}

/** What was made under a claim, or the record of what it was to become, which is there already and is leased now. */
export type Begun<T> = { readonly claim: Claim; readonly made: T } | Existing;

interface Existing {
  readonly existing: SnapshotRow;
  /** Why it was looked for below. */
  readonly cause?: unknown;
}

/**
 * Makes the record, and then the snapshot, so that the collector never meets a snapshot that is new and unknown. Until the
 * snapshot is there nobody sees the record.
 */
export async function begin<T>(
  place: SnapshotPlace,
  request: Request,
  make: (row: SnapshotRow) => Promise<T>,
): Promise<Begun<T>> {
  const { key, labels = {}, target, signal } = request;
  signal?.throwIfAborted();
  if (key === "") throw new CodedError("ERR_INVALID_ARGUMENT", "snapshot: the key is empty");
  checkLabels(`snapshot ${key}`, labels);
  for (let skipped = false; ;) {
    const claim = await claimKey(place, request);
    if ("existing" in claim) return claim;
    try {
      return { claim, made: await make(claim.row) };
    } catch (error) {
      const exists = hasCode(error, "ERR_ALREADY_EXISTS");
      const meetsOld = exists && (await isBelow(place.backend, claim.row).catch(() => false));
      if (exists && !meetsOld && target !== undefined) {
        const existing = await adopt(place, { claim, target, cause: error, signal });
        if (existing !== undefined) return { existing, cause: inUsersWords(error, namesIn(claim.row)) };
        continue;
      }
      // The error that matters is the one we have; a record without a snapshot is the collector's.
      await unclaim(place, claim).catch(() => undefined);
      if (!meetsOld || skipped) throw inUsersWords(error, namesIn(claim.row));
    }
    await skipUsedNumbers(place);
    skipped = true;
  }
}

/** The chain ID that a snapshot is made for. */
export function targetOf(labels: Labels = {}): string | undefined {
  const target = labels[labelTarget];
  return target === "" ? undefined : target;
}

/** @throws ERR_ALREADY_EXISTS the key is taken */
async function claimKey(place: SnapshotPlace, request: Request): Promise<Claim | Existing> {
  const { labels = {}, target, signal } = request;
  const { database } = place;
  const insert = (session: Session): ReturnType<typeof insertOrFind> => insertOrFind(session, place, request);
  for (;;) {
    // Of what nobody will want after a power cut the record may be lost in it.
    const claim = await (isExtraction(labels) ? database.note(insert, signal) : database.write(insert, signal));
    if ("row" in claim) return claim;
    const { found } = claim;
    if (await isFree(place, found, request)) continue;
    if (found.kind === "committed" && found.name === target) return { existing: found };
    throw new CodedError("ERR_ALREADY_EXISTS", `snapshot ${found.name}: already exists and is ${found.kind}`);
  }
}

/** What is being committed is worth waiting for; what was lost stands in nobody's way. */
async function isFree(place: SnapshotPlace, found: SnapshotRow, { signal }: Request): Promise<boolean> {
  if (found.kind === "committed") return !(await isMade(place, found, { signal }));
  return forgetIfLost(place, found);
}

function insertOrFind(
  session: Session,
  place: SnapshotPlace,
  request: Request,
): Claim | { readonly found: SnapshotRow } {
  const { kind, key, labels = {}, target } = request;
  const existing = target === undefined ? undefined : findRow(session, place, target);
  if (existing !== undefined && existing.kind === "committed") {
    leaseName(session, place, existing.name);
    return { found: existing };
  }
  const taken = findRow(session, place, key);
  if (taken !== undefined) return { found: taken };
  const parent = request.parent === undefined ? undefined : mustBeParent(session, place, request.parent);
  useNamespace(session, place.namespace);
  const newlyLeased = leaseName(session, place, key);
  return { row: insertRow(session, place, { kind, name: key, parent: parent?.seq, labels }), newlyLeased };
}
