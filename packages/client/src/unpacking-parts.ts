import { availableParallelism } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Differ } from "@varve/differ";
import { createLimiter } from "@varve/locks";
import type { SharedLocks } from "@varve/locks-sqlite";
import type { Mounter } from "@varve/mount";
import { Lazy } from "./lazy.ts";
import type { OpenClientOptions } from "./open-client.ts";
import type { Blobs, Stack } from "./stack.ts";

interface UnpackingOptions extends Pick<OpenClientOptions, "layerLimits" | "maxConcurrentUnpacks"> {
  readonly content: Blobs;
  readonly mounter: Mounter;
  readonly mountDirectory: string;
}

interface UnpackingParts extends Pick<Stack, "applier" | "differ" | "unpackLimiter" | "warmUp"> {
  readonly chainLocks: Lazy<SharedLocks>;
}

/** What unpacks the layers of a store in `root`: none of it is loaded before it is needed. */
export function unpackingParts(root: string, options: UnpackingOptions): UnpackingParts {
  const { content, layerLimits: limits, maxConcurrentUnpacks: concurrency, mounter, mountDirectory } = options;
  const chainLocks = new Lazy(async () => {
    const { openSharedLocks } = await import("@varve/locks-sqlite");
    return openSharedLocks(join(root, "locks.db"));
  });
  const differ = new Lazy(async () => {
    const { createDiffer } = await import("@varve/differ");
    return createDiffer({ content, mounter, mountDirectory, limits, concurrency });
  });
  return {
    applier: differ,
    chainLocks,
    differ,
    // The threads are bounded by themselves: a layer whose download stalls must not keep others from them.
    unpackLimiter: createLimiter(concurrency ?? availableParallelism() * 4),
    warmUp: () => warmUp(chainLocks, differ),
  };
}

/**
 * Loads what unpacks, each part in a turn of its own, since nothing else is done meanwhile. The threads come last: while they start they
 * take the processors for themselves.
 */
async function warmUp(chainLocks: Lazy<SharedLocks>, differ: Lazy<Differ>): Promise<void> {
  await nextTurn();
  await chainLocks.get();
  await nextTurn();
  (await differ.get()).warmUp();
}
