import { CodedError } from "@varve/errors";
import type { LeaseResource } from "@varve/leases";
import type { Session } from "./database.ts";

/** Within a write: has the lease hold the resource. Does nothing without a lease. @throws ERR_NOT_FOUND no such lease */
export function addToLease(
  session: Session,
  namespace: string,
  lease: string | undefined,
  resource: LeaseResource,
): void {
  if (lease === undefined) return;
  mustHaveLease(session, namespace, lease);
  session.run(
    "INSERT OR IGNORE INTO lease_resources (namespace, lease, type, snapshotter, id) VALUES (?, ?, ?, ?, ?)",
    namespace,
    lease,
    ...columnsOf(resource),
  );
}

/** Within a write: no lease of the namespace holds the resource any more. */
export function dropFromLeases(session: Session, namespace: string, resource: LeaseResource): void {
  session.run(
    "DELETE FROM lease_resources WHERE namespace = ? AND type = ? AND snapshotter = ? AND id = ?",
    namespace,
    ...columnsOf(resource),
  );
}

/** @throws ERR_NOT_FOUND no such lease */
export function mustHaveLease(session: Session, namespace: string, lease: string): void {
  const found = session.get("SELECT 1 FROM leases WHERE namespace = ? AND id = ?", namespace, lease);
  if (found === undefined) throw new CodedError("ERR_NOT_FOUND", `lease ${lease}: not found`);
}

/** Type, snapshotter and id as they are stored. */
export function columnsOf(resource: LeaseResource): [string, string, string] {
  return [resource.type, resource.type === "snapshot" ? resource.snapshotter : "", resource.id];
}
