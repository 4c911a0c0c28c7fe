import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Worker } from "node:worker_threads";
import { readBlob } from "@varve/content";
import { openContentStore } from "@varve/content-fs";
import { digestOf } from "@varve/digest";
import { expect, test } from "vitest";
import { tempDir } from "./temp.ts";

const bytes = randomBytes(9_000_000);
const digest = digestOf(bytes);

function kill(worker: Worker): void {
  void worker.terminate();
}

/** The next thread that is started. */
function nextWorker(): Promise<Worker> {
  return new Promise((resolve) => {
    process.once("worker", resolve);
  });
}

test("the digest of a large ingest is right after any part, by any algorithm", async () => {
  await using temp = await tempDir();
  await using store = await openContentStore({ root: temp.path, durability: "none" });
  const writer = await store.writer("large");
  for (const end of [1, 1_048_576, 1_048_577, 5_000_000, bytes.byteLength]) {
    await writer.write(bytes.subarray(writer.status().offset, end));
    expect(await writer.digest()).toBe(digestOf(bytes.subarray(0, end)));
  }
  const sha512 = digestOf(bytes, "sha512");
  expect(await writer.commit({ digest: sha512 })).toBe(sha512);
});

// U-LCS.8
test("a large ingest can be continued while what it has is hashed again", async () => {
  await using temp = await tempDir();
  await using store = await openContentStore({ root: temp.path, durability: "none" });
  const first = await store.writer("large");
  await first.write(bytes.subarray(0, 8_000_000));
  await first.close();
  const second = await store.writer("large");
  expect(second.status().offset).toBe(8_000_000);
  await second.write(bytes.subarray(8_000_000));
  expect(await second.commit({ digest, size: bytes.byteLength })).toBe(digest);
});

test("many large ingests at once have each their own digest", async () => {
  await using temp = await tempDir();
  await using store = await openContentStore({ root: temp.path, durability: "none" });
  const parts = Array.from({ length: 6 }, (_, index) =>
    bytes.subarray(index * 1_000_000, index * 1_000_000 + 3_000_000),
  );
  const digests = parts.map(async (part, index) => {
    const writer = await store.writer(`r-${index}`);
    for (let at = 0; at < part.byteLength; at += 300_000) await writer.write(part.subarray(at, at + 300_000));
    return writer.commit();
  });
  expect(await Promise.all(digests)).toEqual(parts.map((part) => digestOf(part)));
});

// F10
test("an ingest survives the death of the thread that hashes it", async () => {
  await using temp = await tempDir();
  await using store = await openContentStore({ root: temp.path, durability: "none" });
  const started = nextWorker();
  const writer = await store.writer("large");
  await writer.write(bytes.subarray(0, 4_000_000));
  const [first, again] = [await started, nextWorker()];
  await first.terminate();
  await writer.write(bytes.subarray(4_000_000));
  const digesting = writer.digest();
  await (await again).terminate();
  expect(await digesting).toBe(digest);
  await writer.commit();
  const stored = await readBlob(store, { mediaType: "x/y", digest, size: bytes.byteLength }, { limit: 1e7 });
  expect(bytes.equals(stored)).toBe(true);
});

// F10
test("a thread that dies again and again fails the digest and keeps the ingest", async () => {
  await using temp = await tempDir();
  await using store = await openContentStore({ root: temp.path, durability: "none" });
  process.on("worker", kill);
  try {
    const writer = await store.writer("large");
    await writer.write(bytes);
    await expect(writer.commit()).rejects.toMatchObject({ code: "ERR_INTERNAL" });
  } finally {
    process.off("worker", kill);
  }
  const writer = await store.writer("large");
  expect(writer.status().offset).toBe(bytes.byteLength);
  expect(await writer.commit()).toBe(digest);
});

test("a writer that waits for the hash keeps its process alive", async () => {
  await using temp = await tempDir();
  const child = fileURLToPath(new URL("large-child.ts", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [child, temp.path]);
  expect(stdout).toBe(digestOf(Buffer.alloc(64 * 1024 * 1024, "x")));
});

// I5
test("the thread ends with the last store", async () => {
  await using temp = await tempDir();
  const [one, other] = [await openContentStore({ root: temp.path }), await openContentStore({ root: temp.path })];
  const started = nextWorker();
  const writer = await one.writer("large");
  await writer.write(bytes);
  const worker = await started;
  const exit = once(worker, "exit");
  await one.close();
  const second = await other.writer("large");
  expect(await second.digest()).toBe(digest);
  await other.close();
  await exit;
});

test("a commit that is aborted while it hashes keeps the ingest", async () => {
  await using temp = await tempDir();
  await using store = await openContentStore({ root: temp.path, durability: "none" });
  const writer = await store.writer("large");
  await writer.write(bytes);
  const reason = new Error("enough");
  const controller = new AbortController();
  const committing = writer.commit({}, { signal: controller.signal });
  controller.abort(reason);
  await expect(committing).rejects.toBe(reason);
  expect((await store.status("large")).offset).toBe(bytes.byteLength);
});
