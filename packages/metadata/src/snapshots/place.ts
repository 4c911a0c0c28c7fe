import type { Snapshotter } from "@varve/snapshots";
import type { Database, Session } from "../database.ts";
import { addToLease } from "../lease-rows.ts";
import type { SnapshotScope } from "./rows.ts";

/** The snapshots of one namespace in one snapshotter, seen by one user. */
export interface SnapshotPlace extends SnapshotScope {
  readonly database: Database;
  readonly backend: Snapshotter;
  /** Holds what is created or found to exist. */
  readonly lease: string | undefined;
}

/** Within a write: puts a name under the lease of the place, if it has one. Says whether that is new. */
export function leaseName(session: Session, place: SnapshotPlace, name: string): boolean {
  const { namespace, snapshotter, lease } = place;
  if (lease === undefined) return false;
  const where = "namespace = ? AND lease = ? AND type = 'snapshot' AND snapshotter = ? AND id = ?";
  const held = session.get(`SELECT 1 FROM lease_resources WHERE ${where}`, namespace, lease, snapshotter, name);
  addToLease(session, namespace, lease, { type: "snapshot", snapshotter, id: name });
  return held === undefined;
}

/** Within a write: takes a name from under the lease of the place. */
export function unleaseName(session: Session, place: SnapshotPlace, name: string): void {
  const where = "namespace = ? AND lease = ? AND type = 'snapshot' AND snapshotter = ? AND id = ?";
  const { namespace, lease = "", snapshotter } = place;
  session.run(`DELETE FROM lease_resources WHERE ${where}`, namespace, lease, snapshotter, name);
}

/** Within a write: every lease that holds one name holds the other as well. */
export function leaseAlike(session: Session, place: SnapshotPlace, from: string, to: string): void {
  session.run(
    `INSERT OR IGNORE INTO lease_resources (namespace, lease, type, snapshotter, id)
     SELECT namespace, lease, type, snapshotter, ? FROM lease_resources
     WHERE namespace = ? AND type = 'snapshot' AND snapshotter = ? AND id = ?`,
    to,
    place.namespace,
    place.snapshotter,
    from,
  );
}
