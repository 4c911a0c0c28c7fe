import type { Digest } from "./digest.ts";
import { digestOf } from "./digester.ts";

/**
 * The chain ID of the layers with these diff IDs, bottom first: the name of the tree they make together.
 * No layers have the empty string, one layer its own diff ID; each further one is hashed on with sha256, whatever the
 * algorithm of the diff IDs (S-ID.2, S-ID.4; OCI image specification, "Layer ChainID").
 */
export function chainId(diffIds: readonly Digest[]): Digest | "" {
  return chainIds(diffIds).at(-1) ?? "";
}

/** The chain ID of every prefix: element i names layers 0 to i. The argument is left alone (S-ID.3). */
export function chainIds(diffIds: readonly Digest[]): Digest[] {
  const chain: Digest[] = [];
  let below: Digest | undefined;
  for (const diffId of diffIds) {
    below = below === undefined ? diffId : digestOf(`${below} ${diffId}`);
    chain.push(below);
  }
  return chain;
}
