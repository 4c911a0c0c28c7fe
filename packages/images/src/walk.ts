import { CodedError } from "@varve/errors";
import type { Descriptor } from "@varve/oci";
import type { Handler } from "./handler.ts";

export interface WalkOptions {
  /** Rejects with the signal's own reason. */
  readonly signal?: AbortSignal | undefined;
  /**
   * How many descriptors are handled before the walk fails with ERR_RESOURCE_EXHAUSTED. Default: 100 000.
   * Nested indexes that name the same few blobs many times would otherwise go on almost for ever.
   */
  readonly maxDescriptors?: number | undefined;
}

/** What the limit is when none is given. */
const defaultMaxDescriptors = 100_000;

/**
 * Handles `roots` and everything below them, depth first, one at a time: a descriptor before its children, and all its
 * children before the next sibling. The first error ends the walk.
 */
export async function walk(handler: Handler, roots: readonly Descriptor[], options: WalkOptions = {}): Promise<void> {
  const signal = options.signal ?? new AbortController().signal;
  const count = descriptorCounter(options.maxDescriptors);
  const stack: Descriptor[] = roots.toReversed();
  for (let descriptor = stack.pop(); descriptor !== undefined; descriptor = stack.pop()) {
    signal.throwIfAborted();
    count(descriptor, 1 + stack.length);
    const children = await handler(descriptor, { signal });
    for (const child of children.toReversed()) stack.push(child);
  }
}

/** Counts handled descriptors, and fails when they and those that wait are more than `max`. */
export function descriptorCounter(max: number = defaultMaxDescriptors): (next: Descriptor, waiting: number) => void {
  let handled = 0;
  return (next, waiting) => {
    if (handled + waiting > max) {
      throw new CodedError(
        "ERR_RESOURCE_EXHAUSTED",
        `descriptor ${next.digest}: the image has more than ${max} (maxDescriptors)`,
      );
    }
    handled += 1;
  };
}
