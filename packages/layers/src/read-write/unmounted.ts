import { CodedError, hasCode } from "@varve/errors";
import type { CallOptions } from "../layer-store.ts";
import { changesOf, rwLockOf } from "./names.ts";
import { mountsOfLayer } from "./rows.ts";
import type { ReferredRW, RWRow } from "./rows.ts";
import { takeOffRW } from "./take-off.ts";
import type { StoreParts } from "../store-parts.ts";

/** Runs `work` while the layer is mounted nowhere, and nobody mounts or removes it. */
export async function runUnmounted<T>(
  parts: StoreParts,
  { layer }: ReferredRW,
  work: () => Promise<T>,
  options: CallOptions,
): Promise<T> {
  const { database, locks, snapshotter } = parts;
  const run = async (): Promise<T> => {
    const counted = await database.free((session) => mountsOfLayer(session, layer.mountId), options.signal);
    if (counted > 0) throw isMounted(layer, "is mounted by a process, which has to unmount it first");
    await mustNotBeElsewhere(parts, layer, options);
    try {
      await snapshotter.stat(changesOf(layer), options);
    } catch (error) {
      if (!hasCode(error, "ERR_NOT_FOUND")) throw error;
      throw new CodedError("ERR_NOT_FOUND", `read-write layer ${layer.name}: its files are gone`, { cause: error });
    }
    // What a dead process has left mounted counts for nobody, and writes all the same while somebody has files open in it.
    await takeOffRW(parts, layer.mountId, options);
    return work();
  };
  return locks.run(rwLockOf(layer.name), run, options);
}

/** @throws ERR_FAILED_PRECONDITION others have it mounted: two overlays must not write to one directory */
export async function mustNotBeElsewhere(parts: StoreParts, layer: RWRow, options: CallOptions): Promise<void> {
  const place = await parts.mountedOn?.(changesOf(layer), options);
  if (place !== undefined) throw isElsewhere(layer, place);
}

export function isElsewhere(layer: RWRow, place: string): CodedError {
  return isMounted(layer, `is mounted on ${place}, unmount that first`);
}

function isMounted({ name }: RWRow, why: string): CodedError {
  return new CodedError("ERR_FAILED_PRECONDITION", `read-write layer ${name}: ${why}`);
}
