import { join } from "node:path";
import { chainIds } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { AppliedArchive } from "@varve/diff";
import type { Session } from "@varve/sqlite";
import { newActiveKey } from "./active-key.ts";
import { rereadable } from "./tar/archive-source.ts";
import { commitSnapshot } from "./committed-snapshot.ts";
import { writeExactRecords } from "./tar/exact-records.ts";
import {
  abandonedOf,
  addLayer,
  addReference,
  dropReference,
  findReady,
  isMaking,
  layerById,
  readyLayer,
  remakeLayer,
  setState,
} from "./layer-rows.ts";
import type { LayerRow, Referred } from "./layer-rows.ts";
import type { CallOptions, LayerArchive, RegisterOptions } from "./layer-store.ts";
import { withSnapshot } from "./layer-snapshot.ts";
import { patience } from "./patience.ts";
import { removeUnderLock } from "./remove-layers.ts";
import { removeSnapshot } from "./remove-snapshot.ts";
import { lockOf } from "./store-parts.ts";
import type { StoreParts } from "./store-parts.ts";

/** A layer that is in an active snapshot, with its records beside it. */
interface Written {
  readonly key: string;
  readonly records: string;
  readonly applied: AppliedArchive;
  readonly parent: LayerRow | undefined;
}

/** Unpacks an archive, and records it as a layer, or finds the one that is there (S1.10 to S1.22). */
export async function registerLayer(
  parts: StoreParts,
  archive: LayerArchive,
  options: RegisterOptions,
): Promise<Referred> {
  return withParent(parts, options, (parent) =>
    parts.files.withScratch(async (scratch) => {
      const key = newActiveKey();
      try {
        const written = await writeLayer(parts, { archive, key, parent, scratch }, options);
        const chainId = chainOn(parent, written.applied.diffId);
        const keep = (): Promise<Referred> => keepLayer(parts, chainId, written, options);
        return await parts.locks.run(lockOf(chainId), keep, { signal: options.signal });
      } finally {
        // What cannot be removed now is removed by the next cleanup.
        await removeSnapshot(parts, key, patience()).catch(() => undefined);
        await parts.holder?.release(key, patience()).catch(() => undefined);
      }
    }),
  );
}

/** Keeps the parent while `body` runs. A parent that nobody else refers to is not removed by that (S1.12). */
async function withParent<T>(
  { database, maxDepth }: StoreParts,
  { parent: chainId, signal }: RegisterOptions,
  body: (parent: LayerRow | undefined) => Promise<T>,
): Promise<T> {
  if (chainId === undefined) return body(undefined);
  const parent = await database.note((session) => {
    const layer = readyLayer(session, chainId);
    if (layer.depth >= maxDepth) {
      const why = `a layer on it would be number ${layer.depth + 1} of its chain (maxDepth ${maxDepth})`;
      throw new CodedError("ERR_FAILED_PRECONDITION", `layer ${chainId}: ${why}`);
    }
    return { layer, reference: addReference(session, layer.id) };
  }, signal);
  try {
    return await body(parent.layer);
  } finally {
    await database.freeSoon((session) => dropReference(session, parent.reference)).catch(() => undefined);
  }
}

async function writeLayer(
  { applier, holder, mountDirectory, mounter, snapshotter }: StoreParts,
  work: {
    readonly archive: LayerArchive;
    readonly key: string;
    readonly parent: LayerRow | undefined;
    readonly scratch: string;
  },
  { onProgress, signal }: RegisterOptions,
): Promise<Written> {
  const { key, parent, scratch } = work;
  const records = join(scratch, "records.json.gz");
  await holder?.hold(key, { signal });
  const mounts = await snapshotter.prepare(key, parent?.chainId, { signal });
  const { bytes: archive, close } = rereadable(work.archive, join(scratch, "archive"));
  try {
    const applied = await applier.applyArchive(archive, mounts, { records, signal, onProgress });
    if (applied.replaced > 0) await writeExactRecords({ archive, mountDirectory, mounts, mounter, records, signal });
    return { key, records, applied, parent };
  } finally {
    await close();
  }
}

/** Makes what was written a layer, unless there is one of the same chain: then it gives that (S1.20). */
async function keepLayer(
  parts: StoreParts,
  chainId: Digest,
  written: Written,
  { descriptor, signal }: RegisterOptions,
): Promise<Referred> {
  const { database, files } = parts;
  const found = await refer(parts, chainId, { signal });
  if (found !== undefined) return withSnapshot(parts, found, written.key, { signal });
  const { applied, parent, records } = written;
  const { contentBytes: diffSize, diffId } = applied;
  const size = diffSize + (parent?.size ?? 0);
  const layer = { chainId, diffId, depth: (parent?.depth ?? 0) + 1, diffSize, size, descriptor };
  const id = await database.write((session) => {
    // Its snapshot may have to stay for a while: until those above are gone, which go at the same time.
    const [left] = abandonedOf(session, chainId);
    if (left === undefined) return addLayer(session, layer, parent?.id);
    remakeLayer(session, left.id, layer, parent?.id);
    return left.id;
  }, signal);
  try {
    await files.put(id, records);
    await commitSnapshot(parts, chainId, written.key, { signal });
    return await database.write((session) => makeReady(session, chainId, id), signal);
  } finally {
    // It is ready, or another one is, or there was an error: what is still half made is of no use.
    await giveUp(parts, id).catch(() => undefined);
  }
}

/** Without a lock between them another store may have been first. */
function makeReady(session: Session, chainId: Digest, id: number): Referred {
  const first = findReady(session, chainId);
  if (first === undefined) setState(session, id, "ready");
  const layer = first ?? mustBeThere(layerById(session, id));
  return { layer, reference: addReference(session, layer.id) };
}

async function refer(
  { database }: StoreParts,
  chainId: Digest,
  { signal }: CallOptions,
): Promise<Referred | undefined> {
  return database.note((session) => {
    const layer = findReady(session, chainId);
    return layer === undefined ? undefined : { layer, reference: addReference(session, layer.id) };
  }, signal);
}

/** Whether the snapshot was committed is not known after an error: it goes with the record, or with the next cleanup. */
async function giveUp(parts: StoreParts, id: number): Promise<void> {
  const { database } = parts;
  if (!(await database.read((session) => isMaking(session, id)))) return;
  const layer = await database.free((session) => {
    if (!isMaking(session, id)) return undefined;
    setState(session, id, "going");
    return layerById(session, id);
  });
  if (layer !== undefined) await removeUnderLock(parts, layer, patience());
}

/** A chain ID is computed from the one below in the way that two layers are. */
function chainOn(parent: LayerRow | undefined, diffId: Digest): Digest {
  return parent === undefined ? diffId : (chainIds([parent.chainId, diffId])[1] ?? diffId);
}

function mustBeThere(layer: LayerRow | undefined): LayerRow {
  if (layer !== undefined) return layer;
  throw new CodedError("ERR_INTERNAL", "layer: its record was removed while it was made");
}
