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
 * absent if the record of the ref is somebody else's. `missing`: the bytes are to be brought; `removing` says that the
 * collector is taking a blob of that digest away, `hidden` that one in the store below does not count.
 */
export type Claim =
  | { readonly kind: "stored"; readonly size: number }
  | { readonly kind: "shared"; readonly size: number; readonly claimedAt: number | undefined }
  | { readonly kind: "missing"; readonly claimedAt: number; readonly removing: boolean; readonly hidden: boolean };

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

/** Within a write: as `claimRef`, for a blob whose bytes are brought in any case. */
export function claimMissing(
  session: Session,
  scope: Scope,
  ref: string,
  options: { readonly digest?: Digest | undefined; readonly hidden: boolean },
): Claim & { readonly kind: "missing" } {
  const { namespace, lease } = scope;
  const { digest, hidden } = options;
  const claimedAt = Date.now();
  session.run(
    `INSERT INTO ingests (namespace, ref, expected, created_at) VALUES (?, ?, ?, ?)
     ON CONFLICT (namespace, ref) DO UPDATE
     SET expected = coalesce(excluded.expected, expected), created_at = excluded.created_at`,
    namespace,
    ref,
    digest ?? null,
    claimedAt,
  );
  addToLease(session, namespace, lease, { type: "ingest", id: ref });
  return { kind: "missing", claimedAt, removing: digest !== undefined && isBeingRemoved(session, digest), hidden };
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
 * Within a write: the ingest is over. A record that was made after `claimedBy` belongs to the next writer of the ref.
 * Leases that held the ingest hold the blob it became, if there is one. Says whether there was a record to end.
 */
export function endIngest(
  session: Session,
  scope: Scope,
  ref: string,
  end: { readonly claimedBy: number; readonly digest?: Digest | undefined },
): boolean {
  const { namespace, lease } = scope;
  const { claimedBy, digest } = end;
  const sql = "DELETE FROM ingests WHERE namespace = ? AND ref = ? AND created_at <= ?";
  const ended = session.run(sql, namespace, ref, claimedBy) > 0;
  const others = session.get("SELECT 1 FROM ingests WHERE namespace = ? AND ref = ?", namespace, ref) !== undefined;
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
