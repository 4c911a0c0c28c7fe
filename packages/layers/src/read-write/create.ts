import { randomUUID } from "node:crypto";
import { CodedError } from "@varve/errors";
import { newActiveKey } from "../active-key.ts";
import type { CallOptions } from "../layer-store.ts";
import { patience } from "../patience.ts";
import { removeSnapshot } from "../remove-snapshot.ts";
import type { CreateRWLayerOptions } from "./rw-layer.ts";
import { belowOf, changesOf, initOf, rwLockOf } from "./names.ts";
import { completeRemoval, removeRW } from "./remove.ts";
import { abandonRW, addRW, addRWReference, readyRW, setRWState } from "./rows.ts";
import type { ReferredRW, RWRow } from "./rows.ts";
import { withShownTree } from "../tar/shown-tree.ts";
import type { StoreParts } from "../store-parts.ts";

export interface MakeRWOptions extends CreateRWLayerOptions {
  /** Writes the first changes, before anybody can see the layer. */
  readonly fillChanges?: ((layer: RWRow, options: CallOptions) => Promise<unknown>) | undefined;
}

/** Makes a read-write layer, or leaves nothing (S1.40 to S1.45). */
export async function createRW(parts: StoreParts, name: string, options: MakeRWOptions): Promise<ReferredRW> {
  if (name === "") throw new CodedError("ERR_INVALID_ARGUMENT", "read-write layer: a name is empty");
  const { init, parent, signal } = options;
  const make = async (): Promise<ReferredRW> => {
    // A name whose removal was not completed is free all the same.
    await completeRemoval(parts, { signal }, name);
    const claim = { name, parent, mountId: randomUUID(), hasInit: init !== undefined };
    const layer = await parts.database.write((session) => addRW(session, claim), signal);
    try {
      return await fill(parts, layer, options);
    } catch (error) {
      await giveUp(parts, layer).catch(() => undefined);
      throw error;
    }
  };
  return parts.locks.run(rwLockOf(name), make, { signal });
}

/** Another reference (S1.46). */
export async function referToRW(parts: StoreParts, name: string, { signal }: CallOptions): Promise<ReferredRW> {
  const { database, locks } = parts;
  const refer = (): Promise<ReferredRW> =>
    database.note((session) => {
      const layer = readyRW(session, name);
      return { layer, reference: addRWReference(session, layer.id) };
    }, signal);
  return locks.run(rwLockOf(name), refer, { signal });
}

async function fill(parts: StoreParts, layer: RWRow, options: MakeRWOptions): Promise<ReferredRW> {
  const { database, holder, snapshotter } = parts;
  const { fillChanges, init, labels, signal } = options;
  if (init !== undefined) await makeInit(parts, layer, init, { signal });
  await holder?.hold(changesOf(layer), { signal });
  await snapshotter.prepare(changesOf(layer), belowOf(layer), { labels, signal });
  await fillChanges?.(layer, { signal });
  return database.write((session) => {
    setRWState(session, layer.id, "ready");
    return { layer: { ...layer, state: "ready" }, reference: addRWReference(session, layer.id) };
  }, signal);
}

/** The layer in between: nobody else may see it half made, nor change it later (S1.44). */
async function makeInit(
  parts: StoreParts,
  layer: RWRow,
  init: (directory: string) => Promise<void>,
  { signal }: CallOptions,
): Promise<void> {
  const { holder, snapshotter } = parts;
  const key = newActiveKey();
  await holder?.hold(key, { signal });
  try {
    const mounts = await snapshotter.prepare(key, layer.parent, { signal });
    await withShownTree(parts, mounts, init, signal);
    await holder?.hold(initOf(layer), { signal });
    await snapshotter.commit(initOf(layer), key, { signal });
  } finally {
    await removeSnapshot(parts, key, patience()).catch(() => undefined);
    await holder?.release(key, patience()).catch(() => undefined);
  }
}

async function giveUp(parts: StoreParts, layer: RWRow): Promise<void> {
  await parts.database.free((session) => abandonRW(session, layer.id));
  await removeRW(parts, layer, patience());
}
