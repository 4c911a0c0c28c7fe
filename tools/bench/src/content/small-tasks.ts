import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { writeBlob } from "@varve/content";
import { openContentStore } from "@varve/content-fs";
import type { Durability } from "@varve/content-fs";
import cacache from "cacache";
import { inParallel } from "../sections/in-parallel.ts";
import type { Result } from "../sections/result.ts";
import { timed } from "../sections/stopwatch.ts";

const blobSize = 4096;
const atOnce = 8;

/** Blobs that differ from each other. */
function blobs(count: number): Buffer[] {
  const bytes = createHash("shake256", { outputLength: count * blobSize })
    .update("small")
    .digest();
  return Array.from({ length: count }, (_, index) => bytes.subarray(index * blobSize, (index + 1) * blobSize));
}

export async function varveSmall(root: string, count: number, durability: Durability): Promise<Result> {
  const all = blobs(count);
  await using store = await openContentStore({ root, durability });
  return await timed(async () => {
    await inParallel(count, atOnce, (index) => writeBlob(store, `blob-${index}`, all[index] ?? Buffer.alloc(0)));
    return { count };
  });
}

export function cacacheSmall(root: string, count: number, durability: Durability): Promise<Result> {
  const all = blobs(count);
  return timed(async () => {
    await inParallel(count, atOnce, async (index) => {
      const key = `blob-${index}`;
      const integrity = await cacache.put(root, key, all[index], { algorithms: ["sha256"] });
      if (durability === "full") await syncEntry(root, key, integrity);
    });
    return { count };
  });
}

/**
 * cacache leaves it to the system when it writes: this is what it would have to do to be as durable. The integrity it gives
 * is an object, whatever its types say.
 */
async function syncEntry(root: string, key: string, integrity: { toString(): string }): Promise<void> {
  const digest = Buffer.from(integrity.toString().replace("sha256-", ""), "base64").toString("hex");
  const name = createHash("sha256").update(key).digest("hex");
  await Promise.all([syncUpwards(root, "content-v2/sha256", digest), syncUpwards(root, "index-v5", name)]);
}

/** A file, and the two directories that were made for it. */
async function syncUpwards(root: string, top: string, hex: string): Promise<void> {
  const file = join(root, top, hex.slice(0, 2), hex.slice(2, 4), hex.slice(4));
  for (const path of [file, dirname(file), dirname(dirname(file)), join(root, top)]) {
    const handle = await open(path);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}
