import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ContentStore, Writer } from "@varve/content";
import { readBlob } from "@varve/content";
import { openContentStore } from "@varve/content-fs";
import { digestOf } from "@varve/digest";
import { hasCode } from "@varve/errors";
import { expect, test } from "vitest";
import { Child } from "./child-process.ts";
import { changeRecord, ingestFiles, leftovers, recordOf, tempDir } from "./temp.ts";

const bytes = randomBytes(2_000_000);
const [half, rest] = [bytes.subarray(0, 1_000_000), bytes.subarray(1_000_000)];
const digest = digestOf(bytes);
const descriptor = { mediaType: "application/octet-stream", digest, size: bytes.byteLength };
const hasStrace = spawnSync("strace", ["-V"]).status === 0;

/** Tries until the holder has been without progress for long enough. */
async function takeOver(store: ContentStore, ref: string): Promise<Writer> {
  for (;;) {
    try {
      return await store.writer(ref);
    } catch (error) {
      if (!hasCode(error, "ERR_UNAVAILABLE")) throw error;
      await sleep(10);
    }
  }
}

// D9, G-3
test("a process that is stopped loses its ref, goes on in no file of the next holder, and is told", async () => {
  await using temp = await tempDir();
  const [root, input] = [join(temp.path, "store"), join(temp.path, "input")];
  writeFileSync(input, half);
  const stopped = new Child(["lose", root, "layer-x", input], ["env", "STALL_MS=100"]);
  expect(await stopped.line()).toBe("holding");
  await using store = await openContentStore({ root, stallMs: 100 });
  while ((await store.status("layer-x")).offset < half.byteLength) await sleep(5);
  stopped.process.kill("SIGSTOP");
  const before = statSync(ingestFiles(root, "layer-x").data).ino;
  const writer = await takeOver(store, "layer-x");
  expect(writer.status().offset).toBe(half.byteLength);
  expect(statSync(ingestFiles(root, "layer-x").data).ino).not.toBe(before);
  stopped.process.kill("SIGCONT");
  stopped.process.stdin.end("go on\n");
  expect(await stopped.line()).toBe(
    `ERR_ABORTED ingest layer-x: taken over by process ${process.pid}, as it made no progress`,
  );
  await stopped.ended();
  await writer.write(rest);
  expect(await writer.commit(descriptor)).toBe(digest);
  expect(Buffer.from(await readBlob(store, descriptor)).equals(bytes)).toBe(true);
  await store.close();
  expect(leftovers(root)).toEqual([]);
});

// D2: the reader is slow, and sees nothing of what happens meanwhile
test("a follower that was away while a ref was taken over and committed gets the rest", async () => {
  await using temp = await tempDir();
  await using store = await openContentStore({ root: temp.path, stallMs: 50 });
  await using stuck = await store.writer("followed");
  await stuck.write(half);
  const following = store.follow("followed")[Symbol.asyncIterator]();
  const chunks = [(await following.next()).value ?? new Uint8Array()];
  await using next = await takeOver(store, "followed");
  await next.write(rest);
  await next.commit(descriptor);
  for (let more = await following.next(); more.done !== true; more = await following.next()) chunks.push(more.value);
  expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
  await expect(store.status("followed")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
});

test("a follower fails when the next holder drops the bytes", async () => {
  await using temp = await tempDir();
  await using store = await openContentStore({ root: temp.path, stallMs: 50 });
  await using stuck = await store.writer("followed");
  await stuck.write(half);
  const following = store.follow("followed")[Symbol.asyncIterator]();
  await following.next();
  await using next = await takeOver(store, "followed");
  await next.truncate();
  const drain = async (): Promise<void> => {
    while ((await following.next()).done !== true);
  };
  await expect(drain()).rejects.toMatchObject({ code: "ERR_ABORTED" });
});

test("the ref of an ingest that was taken over can be used again", async () => {
  await using temp = await tempDir();
  await using store = await openContentStore({ root: temp.path, stallMs: 50 });
  await using stuck = await store.writer("again");
  await stuck.write(half);
  const next = await takeOver(store, "again");
  await next.commit();
  const after = await store.writer("again");
  expect(after.status().offset).toBe(0);
  await after.write(rest);
  expect(await after.commit()).toBe(digestOf(rest));
});

// G-2, G-3: the disk takes its time, which is no reason to rob the writer
test.skipIf(!hasStrace)("a writer that commits for long keeps its ref (needs strace)", async () => {
  await using temp = await tempDir();
  const [root, input] = [join(temp.path, "store"), join(temp.path, "input")];
  writeFileSync(input, bytes);
  await using store = await openContentStore({ root, stallMs: 400 });
  const delay = ["-e", "trace=fdatasync", "-e", "inject=fdatasync:delay_enter=1500000:when=1"];
  const slow = new Child(
    ["write", root, "slow", input],
    ["env", "STALL_MS=400", "strace", "-f", "-qq", "-o", "/dev/null", ...delay],
  );
  expect(await slow.line()).toBe("ready");
  const progress = { outcome: "" };
  const writing = slow.line().then((line) => {
    progress.outcome = line;
    return line;
  });
  const attempts: unknown[] = [];
  while (progress.outcome === "") {
    // Only once it has begun: before that the ref is free.
    const isHeld = await store.status("slow").then(
      ({ offset }) => offset > 0,
      () => false,
    );
    if (isHeld) await store.writer("slow", { expected: descriptor }).catch((error: unknown) => attempts.push(error));
    await sleep(50);
  }
  expect(await writing).toBe(digest);
  await slow.ended();
  expect(attempts.length).toBeGreaterThan(0);
  for (const error of attempts)
    expect(["ERR_UNAVAILABLE", "ERR_ALREADY_EXISTS"]).toContain((error as { code: string }).code);
});

// P08
test("setting the clock robs nobody", async () => {
  await using temp = await tempDir();
  await using store = await openContentStore({ root: temp.path, stallMs: 60_000 });
  await using writer = await store.writer("steady");
  await writer.write(half);
  const since = new Date(Date.parse(String(recordOf(temp.path, "steady")["since"])) - 24 * 60 * 60 * 1000);
  changeRecord(temp.path, "steady", { since: since.toISOString() });
  utimesSync(ingestFiles(temp.path, "steady").data, since, since);
  await expect(store.writer("steady")).rejects.toMatchObject({ code: "ERR_UNAVAILABLE" });
});

test("a time without progress must be above 0", async () => {
  await using temp = await tempDir();
  for (const stallMs of [0, -1, Number.NaN]) {
    await expect(openContentStore({ root: temp.path, stallMs })).rejects.toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
    });
  }
});
