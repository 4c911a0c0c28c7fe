import { BlockRing } from "./block-ring.ts";
import type { Hashed, HashJob } from "./jobs.ts";
import { StreamHasher } from "./stream-hasher.ts";

/** Hashes what is in a ring, as its second consumer. */
export async function hashRing({ input, split }: HashJob): Promise<Hashed> {
  const hasher = await StreamHasher.open(split);
  try {
    new BlockRing(input, 1).drainSync((block) => hasher.write(block));
    return hasher.end();
  } finally {
    hasher.abort();
  }
}
