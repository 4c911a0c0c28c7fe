import { setTimeout as sleep } from "node:timers/promises";
import type { OpenSnapshotter } from "@varve/client";
import { openNativeSnapshotter } from "@varve/snapshots-native";

/** The native snapshotter; it notes what is prepared, and takes its time to remove. */
export function watchedSnapshotter(prepared: string[] = [], removalMs = 0): OpenSnapshotter {
  return async (root) => {
    const snapshotter = await openNativeSnapshotter({ root, durability: "none" });
    const prepare = snapshotter.prepare.bind(snapshotter);
    const remove = snapshotter.remove.bind(snapshotter);
    snapshotter.prepare = (key, parent, options) => {
      prepared.push(key);
      return prepare(key, parent, options);
    };
    snapshotter.remove = async (name, options) => {
      await sleep(removalMs);
      await remove(name, options);
    };
    return snapshotter;
  };
}
