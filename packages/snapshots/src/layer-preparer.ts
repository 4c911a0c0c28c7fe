import type { Mount } from "@varve/mount";
import type { CreateOptions } from "./call-options.ts";
import type { Snapshotter } from "./snapshotter.ts";

/** A layer that somebody is about to unpack. */
export interface LayerRequest {
  /** Of the active snapshot. */
  readonly key: string;
  /** The snapshot of the layers below. */
  readonly parent: string | undefined;
  /** What the layer will be committed as for the caller: its chain ID. */
  readonly target: string;
}

/** How much of a layer a snapshotter has without being given it. */
export type PreparedLayer =
  /** Nothing, as after `prepare`: fill the active snapshot through its mounts, then commit it. */
  | { readonly state: "empty"; readonly mounts: readonly Mount[] }
  /**
   * Everything, in the active snapshot: commit it. Nothing can be written to it any more: the last of its mounts is read-only,
   * also of those that `mounts` gives, which is how containerd tells such a layer from others (U-SNX.5).
   */
  | { readonly state: "staged"; readonly mounts: readonly Mount[] }
  /** It is committed, under `name` and on the parent of the request, and no active snapshot was made (U-MD.13). */
  | { readonly state: "committed"; readonly name: string };

/**
 * Optional capability: layers that need not be fetched or unpacked, because the snapshotter shares them with others, or brings
 * them itself when they are read (a remote snapshotter).
 *
 * The labels of the request tell what such a snapshotter needs to know, as containerd's do
 * (`containerd.io/snapshot/cri.layer-digest`, …).
 */
export interface LayerPreparer {
  /**
   * As `prepare`, for a layer, and says how much of it is there.
   *
   * @throws what `prepare` throws
   */
  prepareLayer(request: LayerRequest, options?: CreateOptions): Promise<PreparedLayer>;
}

/** Whether `snapshotter` implements `LayerPreparer`. */
export function canPrepareLayers(snapshotter: Snapshotter): snapshotter is Snapshotter & LayerPreparer {
  return "prepareLayer" in snapshotter && typeof snapshotter.prepareLayer === "function";
}
