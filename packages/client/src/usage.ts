import type { CallOptions } from "@varve/content";
import { hasCode } from "@varve/errors";
import type { Metadata } from "@varve/metadata";
import type { Snapshotter } from "@varve/snapshots";
import type { StoreUsage, UsageEntry } from "./client.ts";
import type { SnapshotterSet } from "./snapshotter-set.ts";
import type { Blobs } from "./stack.ts";

/** A store of varve's own: the metadata, and what is below it. */
export interface UsedStores {
  readonly blobs: Blobs;
  readonly metadata: Metadata;
  readonly snapshotters: Pick<SnapshotterSet, "get" | "used">;
}

/** Adds up what the stores below the metadata hold, whoever it belongs to. */
export async function storeUsage(stores: UsedStores, options: CallOptions = {}): Promise<StoreUsage> {
  const { blobs, metadata, snapshotters } = stores;
  const snapshots: Record<string, UsageEntry> = {};
  for (const name of await snapshotters.used()) {
    const snapshotter = await snapshotters.get(name);
    snapshots[name] = await sum(snapshotter.walk(options), async (one) => {
      return usedBy(snapshotter, one.name, options);
    });
  }
  const { removed, bytes } = await metadata.collect({ ...options, dryRun: true });
  return {
    content: await sum(blobs.walk(options), ({ size }) => size),
    ingests: await sum(blobs.statuses(options), ({ offset }) => offset),
    quarantined: await sum(blobs.quarantined(options), ({ size }) => size),
    snapshots,
    reclaimable: { count: removed.length, bytes },
  };
}

/** Bytes; none of one that was removed since it was listed. */
async function usedBy(snapshotter: Snapshotter, name: string, options: CallOptions): Promise<number> {
  try {
    return (await snapshotter.usage(name, options)).bytes;
  } catch (error) {
    if (hasCode(error, "ERR_NOT_FOUND")) return 0;
    throw error;
  }
}

async function sum<T>(items: AsyncIterable<T>, bytesOf: (item: T) => number | Promise<number>): Promise<UsageEntry> {
  let count = 0;
  let bytes = 0;
  for await (const item of items) {
    count += 1;
    bytes += await bytesOf(item);
  }
  return { count, bytes };
}
