import { canCheck, canCleanup, canPrepareLayers, canRebase } from "@varve/snapshots";
import type { Checker, Cleaner, LayerPreparer, Rebaser, Snapshotter } from "@varve/snapshots";
import type { StoreContext } from "../store-context.ts";
import { checkSnapshots } from "./check.ts";
import type { SnapshotPlace } from "./place.ts";
import { prepareLayer } from "./prepare-layer.ts";
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
  return Object.assign(view, capabilitiesOf(place));
}

type Able = Rebaser & Cleaner & Checker & LayerPreparer;

/** Members of their own, so that whoever asks for a capability is told the truth. */
function capabilitiesOf(place: SnapshotPlace): Partial<Able> {
  const { backend } = place;
  const capabilities: Partial<Able> = {};
  if (canRebase(backend)) {
    capabilities.rebase = (key, parent, options) => rebaseSnapshot(place, backend, { ...options, key, parent });
  }
  if (canCleanup(backend)) capabilities.cleanup = (options) => backend.cleanup(options);
  if (canCheck(backend)) capabilities.check = (options) => checkSnapshots(place, backend, options);
  if (canPrepareLayers(backend)) {
    capabilities.prepareLayer = (request, options) => prepareLayer(place, backend, { ...request, ...options });
  }
  return capabilities;
}
