import { formatBytes } from "../format.ts";
import type { PullState } from "./pull-state.ts";

/** `12.3 MB unpacked / 20.1 MB fetched / 63.3 MB`, all in bytes of the blobs; of a fetch, what is known of the last so far. */
export function totals(state: PullState): string {
  const sum = (pick: (layer: (typeof state.layers)[number]) => number): number =>
    state.layers.reduce((total, layer) => total + pick(layer), 0);
  const applied = state.rows === "layers" ? `${formatBytes(sum((layer) => layer.applied))} unpacked / ` : "";
  return `${applied}${formatBytes(sum((layer) => layer.fetched))} fetched / ${formatBytes(sum((layer) => layer.size))}`;
}
