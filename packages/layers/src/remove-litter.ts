import { hasCode } from "@varve/errors";
import { removeStaleTemporaryMounts } from "@varve/mount";
import { isLitter } from "./active-key.ts";
import type { CallOptions } from "./layer-store.ts";
import { removeSnapshot } from "./remove-snapshot.ts";
import type { StoreParts } from "./store-parts.ts";

/**
 * Removes the snapshots in which killed processes were making or reading layers: they may stand on layers that go. What they have
 * left mounted comes off first, by whoever may do that.
 */
export async function removeLitter(parts: StoreParts, options: CallOptions): Promise<void> {
  const { holder, mountDirectory, mounter, snapshotter } = parts;
  await removeStaleTemporaryMounts(mounter, mountDirectory).catch(() => undefined);
  for await (const { kind, name } of snapshotter.walk(options)) {
    if (kind === "committed" || !isLitter(name)) continue;
    await removeSnapshot(parts, name, options);
    await holder?.release(name, options);
  }
}

/** Removes a committed snapshot; what killed processes have left on it is no obstacle. */
export async function removeWithLitter(parts: StoreParts, name: string, options: CallOptions): Promise<void> {
  try {
    await removeSnapshot(parts, name, options);
  } catch (error) {
    if (!hasCode(error, "ERR_FAILED_PRECONDITION")) throw error;
    await removeLitter(parts, options);
    await removeSnapshot(parts, name, options);
  }
}
