import { join } from "node:path";
import { createDiffer } from "@varve/differ";
import type { Differ, DifferOptions } from "@varve/differ";
import { openLayerStore } from "@varve/layers";
import type { LayerStore } from "@varve/layers";
import { createLinuxMounter } from "@varve/mount-linux";
import type { Snapshotter } from "@varve/snapshots";
import { openOverlaySnapshotter } from "@varve/snapshots-overlay";

export type Durability = "full" | "none";

/** A layer store over overlayfs, and what it is made of. */
export interface Parts extends AsyncDisposable {
  readonly snapshotter: Snapshotter;
  readonly differ: Differ;
  open(): Promise<LayerStore>;
}

export async function openParts(
  root: string,
  { content, durability = "full" }: Pick<DifferOptions, "content"> & { readonly durability?: Durability } = {},
): Promise<Parts> {
  const mounter = createLinuxMounter();
  const snapshotter = await openOverlaySnapshotter({ root: join(root, "snapshots"), durability });
  const differ = createDiffer({ content, mounter });
  return {
    snapshotter,
    differ,
    open: () => openLayerStore({ root: join(root, "layers"), snapshotter, applier: differ, mounter, durability }),
    async [Symbol.asyncDispose]() {
      await differ.close();
      await snapshotter.close();
    },
  };
}
