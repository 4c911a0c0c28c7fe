import { CodedError, hasCode } from "@varve/errors";
import { canPrepareLayers } from "@varve/snapshots";
import { takeInventory } from "../gc/inventory.ts";
import type { Inventory } from "../gc/inventory.ts";
import type { StoreContext } from "../store-context.ts";
import { createBreather } from "./breather.ts";
import type { Breathe } from "./breather.ts";
import { examine } from "./examine.ts";
import { findDamagedSnapshots } from "./find-damaged-snapshots.ts";
import { findBlobs } from "./find-blobs.ts";
import type { BlobFindings } from "./find-blobs.ts";
import { findMissingSnapshots, findOrphanedIngests, findOrphanedSnapshots } from "./find-rest.ts";
import type { BackendSnapshots } from "./find-rest.ts";
import type { Finding } from "./finding.ts";
import { needsOf } from "./image-needs.ts";
import type { ImageNeeds, NeedsContext } from "./image-needs.ts";
import { describe } from "./describe.ts";
import { readRecords } from "./records.ts";
import type { Records } from "./records.ts";
import type { CheckOptions } from "./report.ts";

/** Everything that a look at the whole store has shown. */
export interface Survey {
  readonly findings: readonly Finding[];
  readonly images: readonly ImageNeeds[];
  readonly blobs: number;
  readonly snapshots: number;
  readonly bytes: number;
}

export interface SurveyOptions extends CheckOptions {
  /** Has snapshotters look at their files. Default: true. */
  readonly files?: boolean | undefined;
}

/**
 * What is below is listed before the records are read: what is made meanwhile has its record first, or is expected by one.
 * Each suspicion is looked at again by itself.
 *
 * @throws ERR_DATA_LOSS the database itself is damaged (P07)
 */
export async function surveyStore(context: StoreContext, options: SurveyOptions): Promise<Survey> {
  const { files = true, signal } = options;
  const breathe = createBreather(signal);
  const [damage] = await context.database.problems(signal);
  if (damage !== undefined) {
    throw new CodedError("ERR_DATA_LOSS", `metadata ${context.database.path}: the database is damaged: ${damage}`);
  }
  const inventory = await takeInventory(context, signal);
  const below = inventory.blobs;
  const records = await readRecords(context.database, { breathe, signal });
  const snapshots = await allSnapshots(context, inventory, records, signal);
  const ingests = await findOrphanedIngests(context, inventory.ingests.keys(), signal);
  const missingSnapshots = await findMissingSnapshots(context, records, snapshots, signal);
  const orphanedSnapshots = await findOrphanedSnapshots(context, records, snapshots, signal);
  const damagedSnapshots = files ? await findDamagedSnapshots(context, snapshots, { signal }) : [];
  const blobs = await findBlobs({ context, records, below, options, breathe });
  const images = await readImages(context, { records, below, snapshots, blobs, breathe, signal });
  const findings = describe({ records, images, blobs, ingests, missingSnapshots, damagedSnapshots, orphanedSnapshots });
  const count = [...snapshots.values()].reduce((sum, { infos }) => sum + infos.size, 0);
  return { findings, images, blobs: below.size, snapshots: count, bytes: blobs.bytes };
}

/** Also of snapshotters that are not in use any more, but have records: their directory may have been removed (F12). */
async function allSnapshots(
  { snapshotters }: StoreContext,
  inventory: Inventory,
  records: Records,
  signal: AbortSignal | undefined,
): Promise<Map<string, BackendSnapshots>> {
  const all = new Map<string, BackendSnapshots>(inventory.snapshots);
  const failed = new Set(inventory.failed.map(({ item }) => item.snapshotter));
  for (const name of new Set(records.snapshots.map(({ snapshotter }) => snapshotter))) {
    if (all.has(name) || failed.has(name)) continue;
    try {
      all.set(name, { backend: await snapshotters.get(name), infos: new Map() });
    } catch (error) {
      signal?.throwIfAborted();
      // It cannot be opened here, or is not known any more: nothing can be said of its snapshots.
      if (!hasCode(error, "ERR_NOT_IMPLEMENTED") && !hasCode(error, "ERR_INVALID_ARGUMENT")) throw error;
    }
  }
  return all;
}

interface ImageSearch {
  readonly records: Records;
  readonly below: ReadonlyMap<string, number>;
  readonly snapshots: ReadonlyMap<string, BackendSnapshots>;
  readonly blobs: BlobFindings;
  readonly breathe: Breathe;
  readonly signal: AbortSignal | undefined;
}

async function readImages(context: StoreContext, search: ImageSearch): Promise<ImageNeeds[]> {
  const { records, blobs, below, breathe, signal } = search;
  const { content } = context;
  const brought = broughtSnapshots(search);
  const needs: NeedsContext = {
    content,
    breathe,
    signal,
    documents: new Map(),
    has: (namespace, digest) => below.has(digest) && records.blobs.get(digest)?.has(namespace) === true,
    isBrought: (namespace, snapshot) => brought.has(`${namespace} ${snapshot}`),
    isDamaged: async (digest) => {
      if (blobs.damaged.has(digest)) return true;
      const found = await examine(content, digest, { signal, breathe });
      if (found.kind === "damaged") blobs.damaged.set(digest, found);
      return found.kind === "damaged";
    },
  };
  const images: ImageNeeds[] = [];
  for (const named of records.images) images.push(await needsOf(named, needs));
  return images;
}

/** Namespace and name of what is in snapshotters that need no blobs. */
function broughtSnapshots({ records, snapshots }: ImageSearch): ReadonlySet<string> {
  const brought = new Set<string>();
  for (const { namespace, snapshotter, name, kind, backendKey } of records.snapshots) {
    const below = snapshots.get(snapshotter);
    if (kind !== "committed" || below === undefined || !canPrepareLayers(below.backend)) continue;
    if (below.infos.has(backendKey)) brought.add(`${namespace} ${name}`);
  }
  return brought;
}
