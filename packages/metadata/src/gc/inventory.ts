import type { ContentStore, IngestStatus } from "@varve/content";
import { isDigest } from "@varve/digest";
import { CodedError, hasCode } from "@varve/errors";
import { isOwnerAlive } from "@varve/locks";
import { labelTarget } from "@varve/snapshots";
import type { Snapshotter } from "@varve/snapshots";
import type { Item } from "../item.ts";
import type { StoreContext } from "../store-context.ts";
import { inParallel } from "./in-parallel.ts";
import type { CollectibleResource } from "./resource.ts";

/** The types of things that the store has itself. */
const ownTypes: readonly string[] = ["content", "ingest", "image", "lease", "snapshot"];

/** What is remembered of a snapshot: there are tens of thousands. */
export interface SnapshotBelow {
  readonly parent: string | undefined;
  /** What it says it will be committed as, if it does. */
  readonly target: string | undefined;
}

interface SnapshotInventory {
  readonly backend: Snapshotter;
  readonly infos: ReadonlyMap<string, SnapshotBelow>;
}

interface ResourceInventory {
  readonly resource: CollectibleResource;
  readonly items: readonly { readonly item: Item; readonly references: readonly Item[] }[];
  readonly active: readonly Item[];
}

/**
 * What is stored below, looked at outside of any transaction. Only what is in it can be removed below: what comes later is
 * safe, whatever the records said when they were read.
 */
export interface Inventory {
  /** By which all ages and expiries of one run are judged, in milliseconds since 1970. */
  readonly now: number;
  /** By the ref they have below. */
  readonly ingests: ReadonlyMap<string, IngestStatus>;
  /** Sizes by digest. */
  readonly blobs: ReadonlyMap<string, number>;
  /** By the name of the snapshotter. */
  readonly snapshots: ReadonlyMap<string, SnapshotInventory>;
  /** Snapshotters that could not be looked at: nothing of theirs is removed below. */
  readonly failed: readonly { readonly item: Item; readonly error: unknown }[];
  /** Keys below of the records whose snapshots are not there, and nobody alive is making them, by number. */
  readonly lost: ReadonlyMap<number, string>;
  readonly resources: readonly ResourceInventory[];
  readonly isAlive: (owner: string) => boolean;
}

/** What is looked at below. */
export interface InventoryScope {
  /** These digests instead of all blobs. */
  readonly blobs: readonly string[] | "all";
  readonly snapshots: boolean;
}

/** @throws whatever a backend or a `CollectibleResource` throws that must be known to collect safely */
export async function takeInventory(
  context: StoreContext,
  signal: AbortSignal | undefined,
  scope: InventoryScope = { blobs: "all", snapshots: true },
): Promise<Inventory> {
  const now = Date.now();
  const isAlive = lifeCheck();
  const resources = await Promise.all(context.resources.map((resource) => inventoryOf(resource)));
  // Ingests first: one that is committed meanwhile is then seen as what it was, or as its blob, or as both.
  const ingests = new Map<string, IngestStatus>();
  for await (const status of context.content.statuses({ signal })) ingests.set(status.ref, status);
  const blobs = await blobsOf(context.content, scope.blobs, signal);
  const failed: { item: Item; error: unknown }[] = [];
  const snapshots = new Map<string, SnapshotInventory>();
  for (const name of scope.snapshots ? await context.snapshotters.used() : []) {
    try {
      snapshots.set(name, await walkSnapshotter(await context.snapshotters.get(name), signal));
    } catch (error) {
      signal?.throwIfAborted();
      failed.push({ item: { namespace: "", type: "snapshot", snapshotter: name, id: "" }, error });
    }
  }
  const lost = await findLost(context, snapshots, isAlive, signal);
  return { now, ingests, blobs, snapshots, failed, lost, resources, isAlive };
}

async function blobsOf(
  content: ContentStore,
  wanted: InventoryScope["blobs"],
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, number>> {
  const blobs = new Map<string, number>();
  if (wanted === "all") {
    for await (const { digest, size } of content.walk({ signal })) blobs.set(digest, size);
    return blobs;
  }
  await inParallel(wanted.filter(isDigest), signal, async (digest) => {
    try {
      blobs.set(digest, (await content.info(digest, { signal })).size);
    } catch (error) {
      if (!hasCode(error, "ERR_NOT_FOUND")) throw error;
    }
  });
  return blobs;
}

async function walkSnapshotter(backend: Snapshotter, signal: AbortSignal | undefined): Promise<SnapshotInventory> {
  const infos = new Map<string, SnapshotBelow>();
  for await (const { name, parent, labels } of backend.walk({ signal })) {
    infos.set(name, { parent, target: labels[labelTarget] });
  }
  return { backend, infos };
}

async function inventoryOf(resource: CollectibleResource): Promise<ResourceInventory> {
  const { type } = resource;
  if (ownTypes.includes(type) || !/^[A-Za-z0-9-]+$/.test(type)) {
    throw new CodedError(
      "ERR_INVALID_ARGUMENT",
      `collectible resource ${JSON.stringify(type)}: not a type that can be added`,
    );
  }
  const all = [...(await resource.all())];
  const items = all.map((item) => ({ item, references: [...(resource.references?.(item) ?? [])] }));
  return { resource, items, active: [...(await resource.active())] };
}

/**
 * The record of a snapshot is made before the snapshot. Was its maker killed in between, or in the middle of a commit, then
 * there is nothing under its key. A committed snapshot that was there and is missing (it has no owner any more) is damage,
 * which is not for the collector to hide.
 */
async function findLost(
  { database }: StoreContext,
  snapshots: ReadonlyMap<string, SnapshotInventory>,
  isAlive: (owner: string) => boolean,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<number, string>> {
  const rows = await database.read(
    (session) =>
      session.all(
        "SELECT seq, snapshotter, backend_key, owner FROM snapshots WHERE kind <> 'committed' OR owner <> ''",
      ),
    signal,
  );
  const lost = new Map<number, string>();
  for (const row of rows) {
    const [key, owner] = [String(row["backend_key"]), String(row["owner"])];
    const inventory = snapshots.get(String(row["snapshotter"]));
    if (inventory === undefined || inventory.infos.has(key) || isAlive(owner)) continue;
    // It may have been made after the walk, and its maker have ended since.
    if (!(await isThere(inventory.backend, key, signal))) lost.set(Number(row["seq"]), key);
  }
  return lost;
}

async function isThere(backend: Snapshotter, key: string, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    await backend.stat(key, { signal });
    return true;
  } catch (error) {
    if (hasCode(error, "ERR_NOT_FOUND")) return false;
    signal?.throwIfAborted();
    // What cannot be told is taken to be there.
    return true;
  }
}

/** Asks once for each process: a lease of one image names the same one hundreds of times. */
function lifeCheck(): (owner: string) => boolean {
  const known = new Map<string, boolean>();
  return (owner) => {
    const alive = known.get(owner) ?? isOwnerAlive(owner);
    known.set(owner, alive);
    return alive;
  };
}
