import type { Digest } from "@varve/digest";
import { CodedError, hasCode } from "@varve/errors";
import type { Session } from "@varve/sqlite";
import {
  abandonMaking,
  dropDeadReferences,
  dropLayer,
  dropReference,
  findReady,
  goingOn,
  isGoing,
  layerById,
  readyLayer,
  setState,
  whyWanted,
} from "./layer-rows.ts";
import type { LayerRow } from "./layer-rows.ts";
import type { CallOptions } from "./layer-store.ts";
import { isCommitted } from "./committed-snapshot.ts";
import { removeWithLitter } from "./remove-litter.ts";
import { lockOf } from "./store-parts.ts";
import type { StoreParts } from "./store-parts.ts";

/** Drops a reference and marks what nobody wants any more, from the layer down; undefined if the reference was not there. */
export function dropAndMark(session: Session, reference: number, layer: number): readonly LayerRow[] | undefined {
  return dropReference(session, reference) ? markUnwanted(session, layer) : undefined;
}

/** Marks what nobody wants any more, from the layer down. */
export function markUnwanted(session: Session, layer: number): readonly LayerRow[] {
  dropDeadReferences(session);
  const going: LayerRow[] = [];
  for (let id: number | undefined = layer; id !== undefined && whyWanted(session, id) === undefined;) {
    const row: LayerRow | undefined = layerById(session, id);
    if (row === undefined) break;
    setState(session, row.id, "going");
    abandonMaking(session, row.id);
    going.push(row);
    id = row.parentId;
  }
  return going;
}

/**
 * Marks a layer that nobody wants, and then those below.
 *
 * @throws ERR_NOT_FOUND there is no such layer
 * @throws ERR_FAILED_PRECONDITION somebody wants it
 */
export function markRemoved(session: Session, chainId: Digest): readonly LayerRow[] {
  dropDeadReferences(session);
  const { id } = readyLayer(session, chainId);
  const why = whyWanted(session, id);
  if (why === undefined) return markUnwanted(session, id);
  throw new CodedError("ERR_FAILED_PRECONDITION", `layer ${chainId}: cannot be removed: ${why}`);
}

/** Removes layers that are marked, the topmost first. What cannot be removed stays marked for the next cleanup (S1.37). */
export async function removeMarked(
  parts: StoreParts,
  layers: readonly LayerRow[],
  options: CallOptions,
): Promise<void> {
  for (const layer of layers) {
    await parts.locks.run(lockOf(layer.chainId), () => removeUnderLock(parts, layer, options), {
      signal: options.signal,
    });
  }
}

/** The same, but what somebody else's snapshot stands on stays marked, and keeps neither the others nor the store from opening. */
export async function removeLeft(parts: StoreParts, layers: readonly LayerRow[], options: CallOptions): Promise<void> {
  for (const layer of layers) {
    try {
      await removeMarked(parts, [layer], options);
    } catch (error) {
      if (!hasCode(error, "ERR_FAILED_PRECONDITION")) throw error;
    }
  }
}

/**
 * Removes one layer that is going, while its chain is locked: the snapshot first, so that no snapshot is ever
 * without a record of whose it is.
 */
export async function removeUnderLock(
  parts: StoreParts,
  { chainId, id }: LayerRow,
  options: CallOptions,
): Promise<void> {
  const { database, files, holder } = parts;
  // Somebody may have removed it before, and it may be there again by now.
  if (!(await database.read((session) => isGoing(session, id), options.signal))) return;
  // Another release may be about to remove what stands on it. Only who holds a chain waits for one above, never the other way round.
  await removeMarked(parts, await database.read((session) => goingOn(session, id), options.signal), options);
  // What was given up half made may have a successor, whose snapshot it is then.
  if ((await database.read((session) => findReady(session, chainId), options.signal)) === undefined) {
    if (holder === undefined) await removeCommitted(parts, chainId, options);
    else await holder.release(chainId, options);
  }
  await files.remove(id);
  await database.free((session) => dropLayer(session, id), options.signal);
}

/** Layers are committed: what is not is somebody else's, whatever its name. */
async function removeCommitted(parts: StoreParts, name: string, options: CallOptions): Promise<void> {
  if (await isCommitted(parts, name, options)) await removeWithLitter(parts, name, options);
}
