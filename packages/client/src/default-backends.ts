import { rmdir, stat } from "node:fs/promises";
import type { Mounter } from "@varve/mount";
import { Lazy } from "./lazy.ts";
import type { OpenSnapshotter } from "./snapshotter-set.ts";

export interface DefaultSnapshottersOptions {
  readonly durability: "full" | "none";
  readonly ownership: "keep" | "skip";
}

/** `overlay` and `native`, each loaded when it is opened. */
export function defaultSnapshotters(options: DefaultSnapshottersOptions): Readonly<Record<string, OpenSnapshotter>> {
  const { durability, ownership } = options;
  return {
    overlay: async (root) => {
      const { checkOverlaySupport, openOverlaySnapshotter } = await import("@varve/snapshots-overlay");
      if (await isMissing(root)) await tryOnce(root, checkOverlaySupport);
      return openOverlaySnapshotter({ root, durability });
    },
    native: async (root) => {
      const { openNativeSnapshotter } = await import("@varve/snapshots-native");
      return openNativeSnapshotter({ root, durability, ownership });
    },
  };
}

/** A mounter that is loaded, with the system calls, when something is mounted. */
export function defaultMounter(): Mounter {
  const loaded = new Lazy(async () => (await import("@varve/mount-linux")).createLinuxMounter());
  return {
    mount: async (mounts, target, options) => (await loaded.get()).mount(mounts, target, options),
    unmount: async (target, options) => (await loaded.get()).unmount(target, options),
  };
}

/** When the store is new; one that turns out not to work leaves nothing, and is tried again. */
async function tryOnce(root: string, check: (root: string) => Promise<void>): Promise<void> {
  try {
    await check(root);
  } catch (error) {
    await rmdir(root).catch(() => undefined);
    throw error;
  }
}

async function isMissing(path: string): Promise<boolean> {
  try {
    await stat(path);
    return false;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return true;
    throw error;
  }
}
