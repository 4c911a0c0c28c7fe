import { hasCode } from "@varve/errors";
import type { SnapshotHolder } from "@varve/layers";
import type { CallOptions, LeaseManager, LeaseResource } from "@varve/leases";

/** The lease of a namespace that keeps what its layer stores have. It ends with nobody. */
const layersLease = "varve.layers";

/** Holds snapshots by that lease, which is made when there is something for it to hold. */
export function layersHolder(leases: LeaseManager, snapshotter: string): SnapshotHolder {
  const resourceOf = (id: string): LeaseResource => ({ type: "snapshot", snapshotter, id });
  return {
    hold: async (snapshot, options) => {
      try {
        await leases.add(layersLease, resourceOf(snapshot), options);
      } catch (error) {
        if (!hasCode(error, "ERR_NOT_FOUND")) throw error;
        await unlessCode("ERR_ALREADY_EXISTS", leases.create({ id: layersLease, signal: options?.signal }));
        await leases.add(layersLease, resourceOf(snapshot), options);
      }
    },
    release: async (snapshot, options) => {
      await unlessCode("ERR_NOT_FOUND", leases.remove(layersLease, resourceOf(snapshot), options));
    },
    held: (options) => heldSnapshots(leases, snapshotter, options),
  };
}

async function* heldSnapshots(
  leases: LeaseManager,
  snapshotter: string,
  options: CallOptions = {},
): AsyncGenerator<string, void, undefined> {
  try {
    for await (const resource of leases.resources(layersLease, options)) {
      if (resource.type === "snapshot" && resource.snapshotter === snapshotter) yield resource.id;
    }
  } catch (error) {
    if (!hasCode(error, "ERR_NOT_FOUND")) throw error;
  }
}

async function unlessCode(code: Parameters<typeof hasCode>[1], work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!hasCode(error, code)) throw error;
  }
}
