import { CodedError } from "@varve/errors";
import type { WriteSession } from "@varve/sqlite";
import type { LayerRow } from "../layer-rows.ts";
import type { CallOptions } from "../layer-store.ts";
import { markUnwanted, removeMarked } from "../remove-layers.ts";
import { removeWithLitter } from "../remove-litter.ts";
import { removeSnapshot } from "../remove-snapshot.ts";
import { unlessBusy } from "./mounts.ts";
import { changesOf, initOf, rwLockOf } from "./names.ts";
import {
  abandonedRW,
  dropDeadRWReferences,
  dropRW,
  dropRWReference,
  hasOtherRWReferences,
  mountsOfReference,
  rwById,
  setRWState,
} from "./rows.ts";
import type { ReferredRW, RWRow } from "./rows.ts";
import { takeOffRW } from "./take-off.ts";
import { isElsewhere } from "./unmounted.ts";
import type { StoreParts } from "../store-parts.ts";

/** Gives a reference back; the last one removes the layer, and says which of those below went with it (S1.47 to S1.49). */
export async function releaseRW(
  parts: StoreParts,
  referred: ReferredRW,
  options: CallOptions,
): Promise<readonly LayerRow[]> {
  const { database, locks } = parts;
  const { layer } = referred;
  const release = async (): Promise<readonly LayerRow[]> => {
    const place = await parts.mountedOn?.(changesOf(layer), options);
    const isLast = await database.free((session) => leave(session, referred, place), options.signal);
    if (!isLast) return [];
    const going = await removeRW(parts, layer, options);
    await removeMarked(parts, going, options);
    return going;
  };
  return locks.run(rwLockOf(layer.name), release, options);
}

/** Says whether the layer is to go. The last reference stays until it has gone, so that the release can be repeated. */
function leave(session: WriteSession, { layer, reference }: ReferredRW, place: string | undefined): boolean {
  const mounts = mountsOfReference(session, reference);
  // It was completed by somebody else.
  if (mounts === undefined) return false;
  if (mounts > 0) {
    throw new CodedError("ERR_FAILED_PRECONDITION", `read-write layer ${layer.name}: is mounted by this reference`);
  }
  dropDeadRWReferences(session);
  if (hasOtherRWReferences(session, layer.id, reference)) {
    dropRWReference(session, reference);
    return false;
  }
  if (place !== undefined) throw isElsewhere(layer, place);
  setRWState(session, layer.id, "going");
  return true;
}

/** Completes what was begun by processes that have died, or that have failed; of one name, whose lock is held, or of all. */
export async function completeRemoval(parts: StoreParts, options: CallOptions, name?: string): Promise<void> {
  const { database, locks } = parts;
  const all = await database.read((session) => abandonedRW(session), options.signal);
  for (const layer of all) {
    const remove = async (): Promise<void> => removeMarked(parts, await removeRW(parts, layer, options), options);
    if (name === undefined) await locks.run(rwLockOf(layer.name), () => unlessBusy(remove), options);
    else if (layer.name === name) await remove();
  }
}

/**
 * Removes what there is of a layer that is going or was left half made, while its name is locked, and the record last.
 *
 * @returns layers below that are to go now: none if it was never made, for then nobody has released it
 */
export async function removeRW(
  parts: StoreParts,
  { id, mountId }: RWRow,
  options: CallOptions,
): Promise<readonly LayerRow[]> {
  const { database, holder } = parts;
  const { signal } = options;
  const layer = await database.read((session) => rwById(session, id), signal);
  if (layer === undefined) return [];
  await takeOffRW(parts, mountId, options);
  await removeSnapshot(parts, changesOf(layer), options);
  await holder?.release(changesOf(layer), options);
  if (layer.hasInit) {
    // What is committed is the collector's, if there is one.
    if (holder === undefined) await removeWithLitter(parts, initOf(layer), options);
    else await holder.release(initOf(layer), options);
  }
  return database.free((session) => {
    dropRW(session, id);
    return layer.state === "going" && layer.parentId !== undefined ? markUnwanted(session, layer.parentId) : [];
  }, signal);
}
