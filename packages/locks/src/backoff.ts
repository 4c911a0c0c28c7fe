import { setTimeout } from "node:timers/promises";
import type { WaitOptions } from "./limiter.ts";

// What timers can take: with more they fire at once.
const longest = 2 ** 31 - 1;

/** Waits, 24 days at most. Rejects with the signal's own reason. */
export async function sleep(milliseconds: number, options: WaitOptions = {}): Promise<void> {
  const { signal } = options;
  signal?.throwIfAborted();
  try {
    await setTimeout(Math.min(milliseconds, longest), undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

/** How `backoffDelays` grows. */
export interface BackoffOptions {
  /** Upper bound of the first delay, in milliseconds. Default: 16. */
  readonly first?: number | undefined;
  /** Upper bound of every delay, in milliseconds. Default: 2048. */
  readonly cap?: number | undefined;
  /** From 0 to below 1. Default: `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/** Random delays in milliseconds, each below a bound that doubles up to the cap, without end (S3.4). */
export function* backoffDelays(options: BackoffOptions = {}): Generator<number, never, undefined> {
  const { first = 16, cap = 2048, random = Math.random } = options;
  for (let bound = first; ; bound = Math.min(bound * 2, cap)) yield Math.floor(random() * bound);
}
