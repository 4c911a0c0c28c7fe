import { parseDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { UsageError } from "../exit-code.ts";

/**
 * The chain ID that a word on the command line is; undefined for one that is the name of a read-write layer.
 *
 * @throws ERR_INVALID_ARGUMENT it looks like a chain ID, and is none
 */
export function chainIdIn(word: string): Digest | undefined {
  return word.includes(":") ? parseDigest(word) : undefined;
}

/** @throws UsageError read-write layers of that name could not be told from others */
export function mustBeName(name: string): void {
  if (name.includes(":")) throw new UsageError(`layers create: ${name}: what has a colon is taken for a chain ID`);
}
