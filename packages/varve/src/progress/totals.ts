import { formatBytes } from "../format.ts";
import type { PullState } from "./pull-state.ts";

/** `12.3 MB unpacked / 20.1 MB fetched / 63.3 MB`, all in bytes of the blobs. */
export function totals(state: PullState): string {
  const sum = (pick: (layer: (typeof state.layers)[number]) => number): number =>
    state.layers.reduce((total, layer) => total + pick(layer), 0);
  const applied = formatBytes(sum((layer) => layer.applied));
  const fetched = formatBytes(sum((layer) => layer.fetched));
  return `${applied} unpacked / ${fetched} fetched / ${formatBytes(sum((layer) => layer.size))}`;
}
