import { chainIds } from "@varve/digest";
import type { Digest } from "@varve/digest";
import type { Descriptor } from "@varve/oci";

/** One layer under its two identities, which must never be confused (S-ID.1). */
export interface Layer {
  /** The uncompressed tar: its digest is the diff ID. */
  readonly diff: Descriptor;
  /** The bytes as they are transported, usually compressed. */
  readonly blob: Descriptor;
}

/** A layer with its place in a chain. */
export interface ChainLayer {
  /** 0 is the bottom. */
  readonly index: number;
  readonly blob: Descriptor;
  readonly diffId: Digest;
  /** The name of the committed snapshot. */
  readonly chainId: Digest;
  /** The chain ID of the layers below; the bottom layer has none. */
  readonly parent: Digest | undefined;
}

/** Gives each layer its place, the bottom first. */
export function chainOf(layers: readonly Layer[]): ChainLayer[] {
  const chain = chainIds(layers.map((layer) => layer.diff.digest));
  const placed: ChainLayer[] = [];
  for (const [index, layer] of layers.entries()) {
    const chainId = chain[index];
    if (chainId === undefined) break;
    placed.push({ index, blob: layer.blob, diffId: layer.diff.digest, chainId, parent: chain[index - 1] });
  }
  return placed;
}
