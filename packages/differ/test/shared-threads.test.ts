import { mkdir, readdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { createDiffer } from "@varve/differ";
import type { Differ } from "@varve/differ";
import { digestOf } from "@varve/digest";
import { expect, test } from "vitest";
import { FakeStore } from "./fake-store.ts";
import { bindOf, inPieces, scene, tarOf } from "./scene.ts";
import type { Scene } from "./scene.ts";
import { watchThreads } from "./thread-watch.ts";
// Which of those that wait is next cannot be seen from outside without a clock.
import { LanePool } from "../src/lane-pool.ts";

const threads = watchThreads();

/** A directory for each layer: two that write the same file would be in each other's way. */
let trees = 0;
async function treeIn({ path }: Scene): Promise<string> {
  trees += 1;
  const tree = join(path, `${trees}`);
  await mkdir(tree);
  return tree;
}

/** A thread that has ended has no number. */
const alive = (): number => threads.filter((thread) => thread.threadId >= 0).length;
const cores = availableParallelism();

/** A source that gives half of its bytes, and the rest when it is told. */
function stalling(bytes: Uint8Array): { source: AsyncGenerator<Uint8Array>; stalled: Promise<void>; goOn: () => void } {
  const [stalled, more] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const source = async function* (): AsyncGenerator<Uint8Array> {
    yield bytes.subarray(0, bytes.length >> 1);
    stalled.resolve();
    await more.promise;
    yield bytes.subarray(bytes.length >> 1);
  };
  return { source: source(), stalled: stalled.promise, goOn: more.resolve };
}

test("differs of one process share its threads, which end with the last of them", async () => {
  await using root = await scene();
  const blob = gzipSync(await tarOf({ a: "a" }));
  const [first, second] = [createDiffer(), createDiffer()];
  const apply = async (differ: Differ, layers: number): Promise<void> => {
    const one = async (): Promise<unknown> => differ.applyStream(inPieces(blob, 10), await treeIn(root));
    await Promise.all(Array.from({ length: layers }, one));
  };
  await Promise.all([apply(first, 3 * cores), apply(second, 3 * cores)]);
  const started = threads.length;
  expect(started).toBeLessThanOrEqual(3 * cores);
  await first.close();
  await apply(second, 1);
  expect(threads.length).toBe(started);
  expect(alive()).toBe(started);
  // Closing twice counts once.
  await first.close();
  expect(alive()).toBe(started);
  await second.close();
  expect(alive()).toBe(0);
});

test("after the last differ was closed, the next one has threads again", async () => {
  await using root = await scene();
  for (let times = 0; times < 2; times += 1) {
    await using differ = createDiffer();
    await differ.applyStream(inPieces(await tarOf({ a: "a" }), 512), root.path);
  }
  expect(threads.length).toBeGreaterThan(2);
});

test("downloads that stall, as many as there are lanes, do not hold up a layer whose bytes are there", async () => {
  await using root = await scene();
  await using slow = createDiffer();
  await using other = createDiffer();
  const tar = await tarOf({ a: "a".repeat(10_000) });
  const downloads = Array.from({ length: cores }, () => stalling(tar));
  const waiting = downloads.map(async ({ source }) => slow.applyStream(source, await treeIn(root)));
  await Promise.all(downloads.map(({ stalled }) => stalled));
  // Of another client, and of the same.
  await expect(other.applyStream(inPieces(tar, 512), await treeIn(root))).resolves.toMatchObject({
    digest: digestOf(tar),
  });
  await expect(slow.applyStream(inPieces(tar, 512), await treeIn(root))).resolves.toMatchObject({
    digest: digestOf(tar),
  });
  for (const { goOn } of downloads) goOn();
  for (const layer of await Promise.all(waiting)) expect(layer.digest).toBe(digestOf(tar));
});

test("whoever does not take an archive does not hold up a layer", async () => {
  await using root = await scene();
  const content = new FakeStore();
  await using differ = createDiffer({ content, concurrency: 1 });
  const [asked, taken] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  content.onWrite = async () => {
    asked.resolve();
    await taken.promise;
  };
  const comparing = differ.compare([], bindOf(root.path), { mediaType: "application/vnd.oci.image.layer.v1.tar" });
  await asked.promise;
  const tar = await tarOf({ a: "a" });
  await differ.applyStream(inPieces(tar, 512), root.path);
  taken.resolve();
  await comparing;
  expect(await readdir(root.path)).toEqual(["a"]);
});

test("layers of one client are served in order, and another client does not wait for all of them", async () => {
  const pool = new LanePool({ size: 1, ownHasher: false });
  const [one, two] = [{}, {}];
  const order: string[] = [];
  const gate = Promise.withResolvers<void>();
  const layer = (group: object, name: string): Promise<void> =>
    pool.run(
      async () => {
        await gate.promise;
        order.push(name);
      },
      { group },
    );
  const all = [layer(one, "1a"), layer(one, "1b"), layer(one, "1c"), layer(two, "2a"), layer(one, "1d")];
  gate.resolve();
  await Promise.all(all);
  await pool.close();
  expect(order.indexOf("2a")).toBeLessThan(3);
  expect(order.filter((name) => name.startsWith("1"))).toEqual(["1a", "1b", "1c", "1d"]);
});
