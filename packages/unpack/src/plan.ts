import { isCommitted } from "./extraction.ts";
import type { ExtractionContext } from "./extraction.ts";
import type { ChainLayer } from "./layer.ts";

/**
 * The index of the lowest layer whose snapshot is missing; the number of layers if none is. A committed snapshot has all
 * its parents, so the top one is asked first: an image that is there costs one call (S0.20).
 */
export async function firstMissing(chain: readonly ChainLayer[], context: ExtractionContext): Promise<number> {
  const top = chain.at(-1);
  if (top === undefined || (await isCommitted(top, context))) return chain.length;
  for (const layer of chain.slice(0, -1)) if (!(await isCommitted(layer, context))) return layer.index;
  return top.index;
}
