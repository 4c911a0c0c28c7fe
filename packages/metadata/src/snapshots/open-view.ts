import { canCleanup, canRebase } from "@varve/snapshots";
import type { Cleaner, Rebaser, Snapshotter } from "@varve/snapshots";
import type { StoreContext } from "../store-context.ts";
import type { SnapshotPlace } from "./place.ts";
import { rebaseSnapshot } from "./rebase.ts";
import { SnapshotView } from "./view.ts";

/** Whose snapshots a view shows. */
export interface SnapshotViewOptions {
  readonly namespace: string;
  /** The name of the snapshotter below. */
  readonly snapshotter: string;
  readonly backend: Snapshotter;
  /** What is created is added to this lease. */
  readonly lease?: string | undefined;
}

/** The snapshots of one namespace. The view can do what the snapshotter below can, and closing it closes nothing. */
export function openSnapshotView(context: StoreContext, options: SnapshotViewOptions): Snapshotter {
  const { namespace, snapshotter, backend, lease } = options;
  const place: SnapshotPlace = { namespace, snapshotter, backend, lease, database: context.database };
  const view = new SnapshotView(place);
  // Members of their own, so that whoever asks for a capability is told the truth.
  const capabilities: { rebase?: Rebaser["rebase"]; cleanup?: Cleaner["cleanup"] } = {};
  if (canRebase(backend)) {
    capabilities.rebase = (key, parent, { signal } = {}) => rebaseSnapshot(place, backend, { key, parent, signal });
  }
  if (canCleanup(backend)) capabilities.cleanup = (callOptions) => backend.cleanup(callOptions);
  return Object.assign(view, capabilities);
}
