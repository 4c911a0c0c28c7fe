import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { readBlob, writeBlob } from "@varve/content";
import { openContentStore } from "@varve/content-fs";
import { digestOf } from "@varve/digest";
import { expect, test } from "vitest";
import { Child } from "./child-process.ts";
import { leftovers, tempDir } from "./temp.ts";

const bytes = randomBytes(2_000_000);
const digest = digestOf(bytes);
const descriptor = { mediaType: "application/octet-stream", digest, size: bytes.byteLength };
const hasStrace = spawnSync("strace", ["-V"]).status === 0;

// D9, K19
test("a ref that another process holds is unavailable, and free with its bytes as soon as that process is killed", async () => {
  await using temp = await tempDir();
  const [root, input] = [join(temp.path, "store"), join(temp.path, "input")];
  writeFileSync(input, bytes.subarray(0, 1_000_000));
  await using store = await openContentStore({ root });
  const child = new Child(["hold", root, "layer-x", input]);
  expect(await child.line()).toBe("holding");
  await expect(store.writer("layer-x")).rejects.toMatchObject({
    code: "ERR_UNAVAILABLE",
    message: expect.stringContaining(`held by process ${child.process.pid} for`),
  });
  while ((await store.status("layer-x")).offset < 1_000_000) await sleep(5);
  await child.kill();
  const writer = await store.writer("layer-x");
  expect(writer.status().offset).toBe(1_000_000);
  expect(await writer.digest()).toBe(digestOf(bytes.subarray(0, 1_000_000)));
  await writer.write(bytes.subarray(1_000_000));
  expect(await writer.commit()).toBe(digest);
});

test("of many processes that find a ref of a dead one exactly one gets it", { timeout: 60_000 }, async () => {
  await using temp = await tempDir();
  const [root, input] = [join(temp.path, "store"), join(temp.path, "input")];
  writeFileSync(input, bytes.subarray(0, 1000));
  const dead = new Child(["hold", root, "wanted", input]);
  expect(await dead.line()).toBe("holding");
  await dead.kill();
  const children = Array.from({ length: 8 }, () => new Child(["claim", root, "wanted"]));
  for (const child of children) expect(await child.line()).toBe("ready");
  for (const child of children) child.say("go");
  const outcomes = await Promise.all(children.map((child) => child.line()));
  for (const child of children) child.process.stdin.end();
  await Promise.all(children.map((child) => child.ended()));
  expect(outcomes.toSorted()).toEqual([...Array.from({ length: 7 }, () => "ERR_UNAVAILABLE"), "won"]);
});

// C01
test("processes that write one blob at once all succeed and leave nothing behind", { timeout: 60_000 }, async () => {
  await using temp = await tempDir();
  const [root, input] = [join(temp.path, "store"), join(temp.path, "input")];
  writeFileSync(input, bytes);
  // Half of them under one ref, the others each under its own.
  const children = Array.from(
    { length: 6 },
    (_, index) => new Child(["write", root, `r-${Math.max(0, index - 2)}`, input]),
  );
  for (const child of children) {
    expect(await child.line()).toBe("ready");
    expect(await child.line()).toBe(digest);
  }
  await Promise.all(children.map((child) => child.ended()));
  await using store = await openContentStore({ root });
  expect(Buffer.from(await readBlob(store, descriptor)).equals(bytes)).toBe(true);
  expect(leftovers(root)).toEqual([]);
});

// D2
test("an ingest is followed from one process to the next, through a death, to the commit", async () => {
  await using temp = await tempDir();
  const [root, half, whole] = [join(temp.path, "store"), join(temp.path, "half"), join(temp.path, "whole")];
  writeFileSync(half, bytes.subarray(0, 1_000_000));
  writeFileSync(whole, bytes);
  await using store = await openContentStore({ root });
  const first = new Child(["hold", root, "layer-x", half]);
  expect(await first.line()).toBe("holding");
  const chunks: Uint8Array[] = [];
  const following = store.follow("layer-x")[Symbol.asyncIterator]();
  for (let seen = 0; seen < 1_000_000;) {
    const { value } = await following.next();
    chunks.push(value ?? new Uint8Array());
    seen += value?.byteLength ?? Number.NaN;
  }
  await first.kill();
  const second = new Child(["continue", root, "layer-x", whole]);
  for (let next = await following.next(); next.done !== true; next = await following.next()) chunks.push(next.value);
  expect(await second.line()).toBe(digest);
  expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
  await second.ended();
});

test("a follower is told when another process aborts the ingest", async () => {
  await using temp = await tempDir();
  const [root, input] = [join(temp.path, "store"), join(temp.path, "input")];
  writeFileSync(input, bytes);
  await using store = await openContentStore({ root });
  const child = new Child(["hold", root, "layer-x", input]);
  expect(await child.line()).toBe("holding");
  await using other = await openContentStore({ root });
  const follow = async (): Promise<void> => {
    for await (const chunk of store.follow("layer-x")) {
      if (chunk.byteLength > 0) await other.abort("layer-x").catch(() => {});
    }
  };
  await expect(follow()).rejects.toMatchObject({ code: "ERR_ABORTED" });
  child.process.stdin.end("\n");
  await child.ended();
  expect(leftovers(root)).toEqual([]);
});

// K01 to K08: the process is killed before the n-th call of a kind, for every n that a whole write has.
const kinds = ["mkdir", "/^rename", "fdatasync,fsync", "fchmod", "/^unlink,rmdir", "pwrite64"];
test.skipIf(!hasStrace).each(kinds)(
  "a process killed before any %s leaves a store that works (needs strace)",
  { timeout: 120_000 },
  async (calls) => {
    let kills = 0;
    for (let survived = false; !survived;) {
      await using temp = await tempDir();
      const [root, input] = [join(temp.path, "store"), join(temp.path, "input")];
      writeFileSync(input, bytes);
      const inject = `inject=${calls}:signal=SIGKILL:when=${kills + 1}`;
      const strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", `trace=${calls}`, "-e", inject];
      const child = new Child(["write", root, "layer-x", input], strace);
      await child.line();
      survived = (await child.line()) === digest;
      await child.ended();
      // Killed after it has told its success, and before its end, is killed as well.
      survived &&= child.process.exitCode === 0;
      if (!survived) kills += 1;
      await using store = await openContentStore({ root });
      expect(await writeBlob(store, "layer-x", bytes, { expected: descriptor })).toBe(digest);
      expect(Buffer.from(await readBlob(store, descriptor)).equals(bytes)).toBe(true);
      await store.close();
      expect(leftovers(root)).toEqual([]);
    }
    expect(kills).toBeGreaterThan(0);
  },
);
