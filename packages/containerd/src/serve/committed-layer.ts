import { labelTarget } from "@varve/snapshots";
import type { LayerRequest, Snapshotter } from "@varve/snapshots";

/**
 * The committed snapshot of a layer, whoever has made it: containerd gives what it commits the label of what it prepares, and knows
 * what each namespace uses of it (P-SN.4, P-SN.5).
 */
export async function committedLayer(
  snapshotter: Snapshotter,
  { parent, target }: Omit<LayerRequest, "key">,
  signal: AbortSignal,
): Promise<string | undefined> {
  // JSON's escapes are among those of the filters.
  const filters = [`kind==committed,parent==${JSON.stringify(parent ?? "")}`];
  for await (const info of snapshotter.walk({ filters, signal })) {
    if (info.kind === "committed" && info.parent === parent && info.labels[labelTarget] === target) return info.name;
  }
  return undefined;
}
