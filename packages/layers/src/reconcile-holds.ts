import { isDigest } from "@varve/digest";
import { isLitter } from "./active-key.ts";
import { findReady, isKnown, readyAfter } from "./layer-rows.ts";
import type { CallOptions } from "./layer-store.ts";
import { changesOf, initOf, mountIdIn, rwLockOf } from "./read-write/names.ts";
import { readyRWAfter, rwById, rwNameOf } from "./read-write/rows.ts";
import type { RWRow } from "./read-write/rows.ts";
import type { SnapshotHolder } from "./snapshot-holder.ts";
import { lockOf } from "./store-parts.ts";
import type { StoreParts } from "./store-parts.ts";

/** Layers that are read from the database at a time. */
const pageSize = 500;

/**
 * Has the holder hold what the store has, and nothing else of the kind. The two are apart when a process was killed between
 * them, or when somebody has taken the lease away.
 */
export async function reconcileHolds(parts: StoreParts, options: CallOptions): Promise<void> {
  const { holder } = parts;
  if (holder?.held === undefined) return;
  const held = new Set<string>();
  for await (const snapshot of holder.held(options)) held.add(snapshot);
  const work: HoldWork = { parts, holder, held, options };
  for (const snapshot of held) await releaseStray(work, snapshot);
  await holdLayers(work);
  await holdRWLayers(work);
}

interface HoldWork {
  readonly parts: StoreParts;
  readonly holder: SnapshotHolder;
  /** As it was before the records were read: a record is written before anything is held for it. */
  readonly held: ReadonlySet<string>;
  readonly options: CallOptions;
}

async function releaseStray({ parts, holder, options }: HoldWork, snapshot: string): Promise<void> {
  const { database, locks } = parts;
  const { signal } = options;
  const mountId = mountIdIn(snapshot);
  if (isDigest(snapshot)) {
    if (await database.read((session) => isKnown(session, snapshot), signal)) return;
    // Somebody may be about to make it again.
    const releaseIt = async (): Promise<void> => {
      if (await database.read((session) => isKnown(session, snapshot), signal)) return;
      await holder.release(snapshot, options);
    };
    await locks.run(lockOf(snapshot), releaseIt, options);
  } else if (mountId !== undefined) {
    const name = await database.read((session) => rwNameOf(session, mountId), signal);
    if (name === undefined) await holder.release(snapshot, options);
  } else if (isLitter(snapshot)) {
    await holder.release(snapshot, options);
  }
}

async function holdLayers({ parts, holder, held, options }: HoldWork): Promise<void> {
  const { database, locks } = parts;
  const { signal } = options;
  for (let last = ""; ;) {
    const after = last;
    const page = await database.read((session) => readyAfter(session, after, pageSize), signal);
    for (const { chainId } of page.filter((layer) => !held.has(layer.chainId))) {
      // Somebody may be about to remove it.
      const holdIt = async (): Promise<void> => {
        const layer = await database.read((session) => findReady(session, chainId), signal);
        if (layer !== undefined) await holder.hold(chainId, options);
      };
      await locks.run(lockOf(chainId), holdIt, options);
    }
    last = page.at(-1)?.chainId ?? "";
    if (page.length < pageSize) return;
  }
}

async function holdRWLayers({ parts, holder, held, options }: HoldWork): Promise<void> {
  const { database, locks } = parts;
  const { signal } = options;
  for (let last = ""; ;) {
    const after = last;
    const page = await database.read((session) => readyRWAfter(session, after, pageSize), signal);
    for (const layer of page) {
      const missing = snapshotsOf(layer).filter((snapshot) => !held.has(snapshot));
      if (missing.length === 0) continue;
      const holdThem = async (): Promise<void> => {
        const now = await database.read((session) => rwById(session, layer.id), signal);
        if (now?.state === "ready") for (const snapshot of missing) await holder.hold(snapshot, options);
      };
      await locks.run(rwLockOf(layer.name), holdThem, options);
    }
    last = page.at(-1)?.name ?? "";
    if (page.length < pageSize) return;
  }
}

function snapshotsOf(layer: RWRow): readonly string[] {
  return layer.hasInit ? [changesOf(layer), initOf(layer)] : [changesOf(layer)];
}
