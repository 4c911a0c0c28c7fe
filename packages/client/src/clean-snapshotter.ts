import type { Namespace } from "@varve/metadata";
import type { Snapshotter } from "@varve/snapshots";
import { removeStaleExtractions } from "@varve/unpack";

/** The snapshotter of a namespace, with what killed processes have left half unpacked removed. */
export async function cleanSnapshotter(namespace: Namespace, name: string): Promise<Snapshotter> {
  const snapshotter = await namespace.snapshotter(name);
  await removeStaleExtractions(snapshotter);
  return snapshotter;
}
