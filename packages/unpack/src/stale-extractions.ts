import { hasCode } from "@varve/errors";
import { isOwnerAlive } from "@varve/locks";
import { labelOwner } from "@varve/snapshots";
import type { CallOptions, SnapshotInfo, Snapshotter } from "@varve/snapshots";
import { isExtractionKey } from "./extraction-key.ts";

/**
 * Removes what killed processes have left: active extraction snapshots whose owner is dead. Those of living processes,
 * this one included, and those without an owner, which are not ours, stay. Several processes may do so at once.
 *
 * @returns the keys that were removed
 */
export async function removeStaleExtractions(snapshotter: Snapshotter, options: CallOptions = {}): Promise<string[]> {
  const removed: string[] = [];
  for await (const snapshot of snapshotter.walk(options)) {
    if (!isStale(snapshot)) continue;
    try {
      await snapshotter.remove(snapshot.name, options);
      removed.push(snapshot.name);
    } catch (error) {
      // Another process was faster.
      if (!hasCode(error, "ERR_NOT_FOUND")) throw error;
    }
  }
  return removed;
}

function isStale(snapshot: SnapshotInfo): boolean {
  const owner = snapshot.labels[labelOwner];
  return snapshot.kind === "active" && owner !== undefined && isExtractionKey(snapshot.name) && !isOwnerAlive(owner);
}
