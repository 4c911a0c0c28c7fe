import { hasCode } from "@varve/errors";
import { isOwnerAlive } from "@varve/locks";
import { labelOwner } from "@varve/snapshots";
import type { CallOptions, SnapshotInfo, Snapshotter } from "@varve/snapshots";
import { extractionKeyPattern, isExtractionKey } from "./extraction-key.ts";

/** Few of many: the snapshotter need not show the rest. */
const filters = [`kind==active,name~=${extractionKeyPattern},labels."${labelOwner}"`];

/**
 * Removes what killed processes have left: active extraction snapshots whose owner is dead. Those of living processes,
 * this one included, and those without an owner, which are not ours, stay. Several processes may do so at once. One that
 * cannot be removed stops none of the others (G-42).
 *
 * @returns the keys that were removed
 * @throws the first error, when all have been tried
 */
export async function removeStaleExtractions(snapshotter: Snapshotter, options: CallOptions = {}): Promise<string[]> {
  const { signal } = options;
  const removed: string[] = [];
  const errors: unknown[] = [];
  for await (const snapshot of snapshotter.walk({ filters, signal })) {
    if (!isStale(snapshot)) continue;
    try {
      await snapshotter.remove(snapshot.name, { signal });
      removed.push(snapshot.name);
    } catch (error) {
      signal?.throwIfAborted();
      // Another process was faster.
      if (!hasCode(error, "ERR_NOT_FOUND")) errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
  return removed;
}

function isStale(snapshot: SnapshotInfo): boolean {
  const owner = snapshot.labels[labelOwner];
  return snapshot.kind === "active" && owner !== undefined && isExtractionKey(snapshot.name) && !isOwnerAlive(owner);
}
