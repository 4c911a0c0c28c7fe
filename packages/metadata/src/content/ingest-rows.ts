import type { Expected } from "@varve/content";
import type { Digest } from "@varve/digest";
import type { Session } from "../database.ts";
import { addToLease } from "../lease-rows.ts";
import { useNamespace } from "../namespace-rows.ts";
import type { Scope } from "../store-context.ts";
import { findBlob, sharedSize } from "./blob-rows.ts";
import { isBeingRemoved } from "./removals.ts";

/**
 * What a writer of a ref starts from. `stored`: the namespace has the blob. `shared`: another one has it; `claimedAt` is
 * absent if the record of the ref is somebody else's. `missing`: the bytes are to be brought; `hidden` says that a blob of
 * that digest in the store below does not count.
 */
export type Claim =
  | { readonly kind: "stored"; readonly size: number }
  | { readonly kind: "shared"; readonly size: number; readonly claimedAt: number | undefined }
  | MissingClaim;

type MissingClaim = Hold & {
  readonly kind: "missing";
  /** The record was made for this claim; otherwise there was one, maybe that of a writer who has the ref. */
  readonly isNew: boolean;
  readonly hidden: boolean;
};

/** What keeps an ingest, and the blob it will become. */
export interface Hold {
  /** When the writer came. Tells his record from those of other writers of the ref. */
  readonly claimedAt: number;
  /** The collector is taking a blob of the expected digest away. */
  readonly removing: boolean;
}

/**
 * Within a write: makes the record that keeps the ingest, and the blob it will become, from being collected. It comes
 * before anything is done in the store below.
 */
export function claimRef(session: Session, scope: Scope, ref: string, expected: Expected): Claim {
  const { namespace, lease, context } = scope;
  const { digest, size } = expected;
  useNamespace(session, namespace);
  if (digest === undefined) return claimMissing(session, scope, ref, { hidden: false });
  const known = findBlob(session, namespace, digest);
  if (known !== undefined) return { kind: "stored", size: known.size };
  const shared = sharedSize(session, namespace, digest, context.sharing);
  // Another size means other content, whatever the digest says: that is for the commit to find out.
  const fits = shared !== undefined && (size === undefined || size === shared);
  if (!fits) {
    const hidden = shared !== undefined || context.sharing === "isolated" || !isExpected(session, digest);
    return claimMissing(session, scope, ref, { digest, hidden });
  }
  const claimedAt = Date.now();
  const made = session.run(
    "INSERT OR IGNORE INTO ingests (namespace, ref, expected, created_at) VALUES (?, ?, ?, ?)",
    namespace,
    ref,
    digest,
    claimedAt,
  );
  addToLease(session, namespace, lease, { type: "ingest", id: ref });
  return { kind: "shared", size: shared, claimedAt: made === 1 ? claimedAt : undefined };
}

/** Within a write: the lease holds the blob, if the namespace still knows it. */
export function leaseStored(session: Session, scope: Scope, digest: Digest): boolean {
  const { namespace, lease } = scope;
  if (findBlob(session, namespace, digest) === undefined) return false;
  addToLease(session, namespace, lease, { type: "content", id: digest });
  return true;
}

/** Whether a blob that has no record yet may be one that was committed: by a process that is about to make it, or died before. */
function isExpected(session: Session, digest: Digest): boolean {
  return session.get("SELECT 1 FROM ingests WHERE expected = ? LIMIT 1", digest) !== undefined;
}

/**
 * Within a write: as `claimRef`, for a blob whose bytes are brought in any case. A record that is there is left as it is: it
 * may keep what somebody is writing at this moment, and he ends no other than his own.
 */
export function claimMissing(
  session: Session,
  scope: Scope,
  ref: string,
  options: { readonly digest?: Digest | undefined; readonly hidden: boolean },
): MissingClaim {
  const { namespace, lease } = scope;
  const { digest, hidden } = options;
  const found = claimTime(session, namespace, ref);
  const claimedAt = found ?? Date.now();
  if (found === undefined) {
    session.run(
      "INSERT INTO ingests (namespace, ref, expected, created_at) VALUES (?, ?, ?, ?)",
      namespace,
      ref,
      digest ?? null,
      claimedAt,
    );
  }
  addToLease(session, namespace, lease, { type: "ingest", id: ref });
  const removing = digest !== undefined && isBeingRemoved(session, digest);
  return { kind: "missing", claimedAt, removing, isNew: found === undefined, hidden };
}

/** Within a write, for who has the ref in the store below: the record is his from now on, whoever made it. */
export function takeRef(session: Session, scope: Scope, ref: string, digest: Digest | undefined): Hold {
  const { namespace, lease } = scope;
  const row = session.get(
    `INSERT INTO ingests (namespace, ref, expected, created_at) VALUES (?, ?, ?, ?)
     ON CONFLICT (namespace, ref) DO UPDATE
     SET expected = coalesce(excluded.expected, expected),
         created_at = excluded.created_at + (excluded.created_at = created_at)
     RETURNING created_at`,
    namespace,
    ref,
    digest ?? null,
    Date.now(),
  );
  addToLease(session, namespace, lease, { type: "ingest", id: ref });
  const removing = digest !== undefined && isBeingRemoved(session, digest);
  return { claimedAt: Number(row?.["created_at"]), removing };
}

/** When the writer came who has the record of a ref; absent if there is none. */
export function claimTime(session: Session, namespace: string, ref: string): number | undefined {
  const row = session.get("SELECT created_at FROM ingests WHERE namespace = ? AND ref = ?", namespace, ref);
  return row && Number(row["created_at"]);
}

/**
 * Within a write: from now on the blob is kept for the ingest. Says whether the collector is taking one of that digest
 * away; absent if the ingest has no record.
 */
export function expectBlob(session: Session, namespace: string, ref: string, digest: Digest): boolean | undefined {
  const sql = "UPDATE ingests SET expected = ? WHERE namespace = ? AND ref = ?";
  return session.run(sql, digest, namespace, ref) === 0 ? undefined : isBeingRemoved(session, digest);
}

/**
 * Within a write: the ingest is over. A record of another time than `claimedAt` belongs to another writer of the ref.
 * Leases that held the ingest hold the blob it became, if there is one. Says whether there was a record to end.
 */
export function endIngest(
  session: Session,
  scope: Scope,
  ref: string,
  end: { readonly claimedAt: number | undefined; readonly digest?: Digest | undefined },
): boolean {
  const { namespace, lease } = scope;
  const { claimedAt, digest } = end;
  const sql = "DELETE FROM ingests WHERE namespace = ? AND ref = ? AND created_at = ?";
  const ended = session.run(sql, namespace, ref, claimedAt ?? null) > 0;
  const others = claimTime(session, namespace, ref) !== undefined;
  if (!others && digest === undefined) {
    session.run(
      "DELETE FROM lease_resources WHERE namespace = ? AND type = 'ingest' AND snapshotter = '' AND id = ?",
      namespace,
      ref,
    );
  } else if (!others && digest !== undefined) {
    session.run(
      `UPDATE OR REPLACE lease_resources SET type = 'content', id = ?
       WHERE namespace = ? AND type = 'ingest' AND snapshotter = '' AND id = ?`,
      digest,
      namespace,
      ref,
    );
  }
  if (digest !== undefined) addToLease(session, namespace, lease, { type: "content", id: digest });
  return ended;
}
