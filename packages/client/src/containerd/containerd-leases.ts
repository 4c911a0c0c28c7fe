import { hasCode } from "@varve/errors";
import { labelLeaseOwner } from "@varve/leases";
import type { Lease, LeaseManager } from "@varve/leases";
import { currentOwner, isOwnerAlive } from "@varve/locks";

/** As that of containerd's own client. */
const lifetimeMs = 24 * 60 * 60 * 1000;

/**
 * A lease of a containerd, which knows nothing of processes: it ends by itself after a day, and sooner when the next operation
 * finds that its process is dead.
 */
export async function createContainerdLease(leases: LeaseManager, signal: AbortSignal | undefined): Promise<Lease> {
  await removeStaleLeases(leases, signal);
  const labels = { [labelLeaseOwner]: currentOwner() };
  return leases.create({ labels, expiresAt: new Date(Date.now() + lifetimeMs), signal });
}

async function removeStaleLeases(leases: LeaseManager, signal: AbortSignal | undefined): Promise<void> {
  for await (const { id, labels } of leases.list({ filters: [`labels."${labelLeaseOwner}"`], signal })) {
    const owner = labels[labelLeaseOwner];
    if (owner === undefined || isOwnerAlive(owner)) continue;
    try {
      await leases.delete(id, { signal });
    } catch (error) {
      // Another process was faster.
      if (!hasCode(error, "ERR_NOT_FOUND")) throw error;
    }
  }
}
