import { hasCode } from "@varve/errors";
import { canCleanup } from "@varve/snapshots";
import type { Snapshotter } from "@varve/snapshots";
import type { StoreContext } from "../store-context.ts";
import { inParallel } from "./in-parallel.ts";
import type { BackendRemoval, SnapshotRemoval, Sweep } from "./plan.ts";
import type { Item } from "../item.ts";

/** The snapshotters that could be looked at, by name. */
export type Backends = ReadonlyMap<string, Snapshotter>;

/** Drops ingests below. One that has been begun anew meanwhile has a record again, and stays. */
export async function sweepIngests(
  { database, content }: StoreContext,
  ingests: readonly BackendRemoval[],
  signal: AbortSignal | undefined,
): Promise<void> {
  await inParallel(ingests, signal, async ({ id, removal }) => {
    const slash = id.indexOf("/");
    const record = await database.read(
      (session) =>
        session.get(
          "SELECT 1 FROM ingests WHERE namespace = ? AND ref = ?",
          id.slice(0, Math.max(slash, 0)),
          id.slice(slash + 1),
        ),
      signal,
    );
    if (record !== undefined) removal.spared = true;
    else await attempt(removal, signal, () => content.abort(id, { signal }));
  });
}

/** Removes snapshots below, children first. What stands in the way of its parent is told once, for itself (G-42). */
export async function sweepSnapshots(
  { database }: StoreContext,
  { snapshots }: Sweep,
  backends: Backends,
  signal: AbortSignal | undefined,
): Promise<readonly { readonly item: Item; readonly error: unknown }[]> {
  const failed: { item: Item; error: unknown }[] = [];
  for (const [snapshotter, backend] of backends) {
    const blocked = new Set<string>();
    for (const { id, parent, removal } of snapshots.get(snapshotter) ?? []) {
      signal?.throwIfAborted();
      const record = await database.read(
        (session) => session.get("SELECT 1 FROM snapshots WHERE snapshotter = ? AND backend_key = ?", snapshotter, id),
        signal,
      );
      // A snapshot that was left by somebody else can be adopted under a new record.
      if (record !== undefined || blocked.has(id)) removal.spared = true;
      else await attempt(removal, signal, () => backend.remove(id, { signal }));
      if (parent !== undefined && (removal.spared || removal.error !== undefined)) blocked.add(parent);
    }
    if (!canCleanup(backend)) continue;
    try {
      await backend.cleanup({ signal });
    } catch (error) {
      signal?.throwIfAborted();
      failed.push({ item: { namespace: "", type: "snapshot", snapshotter, id: "" }, error });
    }
  }
  return failed;
}

/** Asks what the snapshots that go take up, while they are still there. */
export async function measureSnapshots(
  { snapshots }: Sweep,
  backends: Backends,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const [snapshotter, removals] of snapshots) {
    const backend = backends.get(snapshotter);
    if (backend !== undefined) {
      await inParallel(removals, signal, async (removal) => measure(backend, removal, signal));
    }
  }
}

/** Removes things of types from outside. */
export async function sweepResources(
  context: StoreContext,
  { resources }: Sweep,
  signal: AbortSignal | undefined,
): Promise<void> {
  const types = new Map(context.resources.map((resource) => [resource.type, resource]));
  await inParallel(resources, signal, async ({ type, removal }) => {
    await attempt(removal, signal, async () => types.get(type)?.remove(removal.item));
  });
}

async function measure(
  backend: Snapshotter,
  { id, removal }: SnapshotRemoval,
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    removal.bytes = (await backend.usage(id, { signal })).bytes;
  } catch {
    // It is only told: what cannot be measured can still be removed.
    signal?.throwIfAborted();
  }
}

/** What is gone already is as good as removed; what fails is told, and stops nothing else. */
async function attempt(
  removal: BackendRemoval["removal"],
  signal: AbortSignal | undefined,
  remove: () => Promise<void>,
): Promise<void> {
  try {
    await remove();
  } catch (error) {
    signal?.throwIfAborted();
    if (hasCode(error, "ERR_NOT_FOUND")) removal.vanished = true;
    else removal.error = error;
  }
}
