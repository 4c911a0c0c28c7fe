import { randomBytes } from "node:crypto";
import { appendFileSync, readFileSync, truncateSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { openContentStore } from "@varve/content-fs";
import { digestOf } from "@varve/digest";
import { expect, test } from "vitest";
import { ingestFiles, moveToAnotherBoot, tempDir } from "./temp.ts";

const bytes = randomBytes(600_000);
const digest = digestOf(bytes);

/** As if the bytes after the first 400,000 had been written when the power was cut. */
async function cutIngest(root: string, durability: "full" | "none"): Promise<void> {
  await using store = await openContentStore({ root, durability });
  const writer = await store.writer("cut");
  await writer.write(bytes.subarray(0, 400_000));
  await writer.close();
  appendFileSync(ingestFiles(root, "cut").data, Buffer.alloc(100_000));
}

// K03, P02
test("after a power cut an ingest continues with the bytes that were on disk", async () => {
  await using temp = await tempDir();
  await cutIngest(temp.path, "full");
  moveToAnotherBoot(temp.path, "cut");
  await using store = await openContentStore({ root: temp.path });
  const writer = await store.writer("cut");
  expect(writer.status().offset).toBe(400_000);
  expect(await writer.digest()).toBe(digestOf(bytes.subarray(0, 400_000)));
  await writer.write(bytes.subarray(400_000));
  expect(await writer.commit({ digest })).toBe(digest);
});

// K03
test("without a power cut all bytes count, and the digest judges them", async () => {
  await using temp = await tempDir();
  await cutIngest(temp.path, "full");
  await using store = await openContentStore({ root: temp.path });
  const writer = await store.writer("cut");
  expect(writer.status().offset).toBe(500_000);
  await writer.write(bytes.subarray(500_000));
  await expect(writer.commit({ digest })).rejects.toMatchObject({ code: "ERR_DIGEST_MISMATCH" });
});

// P01
test("after a power cut a store without durability starts its ingests over", async () => {
  await using temp = await tempDir();
  await cutIngest(temp.path, "none");
  moveToAnotherBoot(temp.path, "cut");
  await using store = await openContentStore({ root: temp.path, durability: "none" });
  const writer = await store.writer("cut");
  expect(writer.status().offset).toBe(0);
});

// P01
test("an ingest that lost more than it should continues with what is there", async () => {
  await using temp = await tempDir();
  await cutIngest(temp.path, "full");
  truncateSync(ingestFiles(temp.path, "cut").data, 1000);
  moveToAnotherBoot(temp.path, "cut");
  await using store = await openContentStore({ root: temp.path });
  expect((await store.writer("cut")).status().offset).toBe(1000);
});

// G-1
test("a long ingest that is never closed is brought to disk on its way", async () => {
  await using temp = await tempDir();
  await using store = await openContentStore({ root: temp.path });
  const writer = await store.writer("long");
  const chunk = randomBytes(4 * 1024 * 1024);
  for (let count = 0; count < 12; count += 1) await writer.write(chunk);
  const { record } = ingestFiles(temp.path, "long");
  const safe = (): number => Number(readFileSync(record, "utf8").slice(0, 16));
  while (safe() === 0) await sleep(10);
  expect(safe()).toBeGreaterThanOrEqual(32 * 1024 * 1024);
  expect(safe()).toBeLessThanOrEqual(48 * 1024 * 1024);
});
