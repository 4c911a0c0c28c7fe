import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { gunzipSync, gzipSync, zstdCompressSync } from "node:zlib";
import { digestOf } from "@varve/digest";
import { afterAll, expect, test } from "vitest";
import type { Applied } from "../src/jobs.ts";
// A machine has few processors or many, but both layouts of threads are to be right.
import { LanePool } from "../src/lane-pool.ts";
import { inPieces, scene, tarOf } from "./scene.ts";
import { watchThreads } from "./thread-watch.ts";

const threads = watchThreads();

const kinds = { gzip: gzipSync, zstd: zstdCompressSync, plain: (bytes: Uint8Array) => bytes };

for (const ownHasher of [false, true]) {
  const layout = ownHasher ? "with a thread that hashes" : "without a thread that hashes";
  const pool = new LanePool({ size: 1, ownHasher });
  afterAll(() => pool.close());
  const apply = (source: AsyncIterable<Uint8Array>, root: string, split?: string): Promise<Applied> =>
    pool.run(
      (lane, place) =>
        lane.apply({
          source,
          place,
          split,
          subject: "layer",
          job: { root, options: {} },
          decode: { decoders: "system", limits: {} },
        }),
      { group: pool },
    );

  for (const [kind, compress] of Object.entries(kinds)) {
    test(`${layout}, a ${kind} layer is written, hashed and recorded`, async () => {
      await using root = await scene();
      const tree = join(root.path, "tree");
      await mkdir(tree);
      const split = join(root.path, "split.gz");
      // More than the rings hold.
      const tar = await tarOf({ a: randomBytes(4_000_000).toString("hex"), b: "b" });
      const applied = await apply(inPieces(compress(tar), 70_000), tree, split);
      expect(applied).toMatchObject({ digest: digestOf(tar), size: tar.length, entries: 2 });
      const records = gunzipSync(await readFile(split))
        .toString("latin1")
        .trimEnd()
        .split("\n");
      expect(records.length).toBe(applied.split?.records);
      expect(await readdir(tree)).toEqual(["a", "b"]);
    });
  }

  test(`${layout}, a broken layer fails, leaves no records, and the next is served`, async () => {
    await using root = await scene();
    const tree = join(root.path, "tree");
    await mkdir(tree);
    const tar = await tarOf({ a: "x".repeat(100_000) });
    const cut = gzipSync(tar).subarray(0, -20);
    const failing = apply(inPieces(cut, 100), tree, join(root.path, "split.gz"));
    await expect(failing).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
    expect(await readdir(root.path)).toEqual(["tree"]);
    await expect(apply(inPieces(tar, 512), tree)).resolves.toMatchObject({ digest: digestOf(tar) });
  });

  for (const index of ownHasher ? [0, 1, 2] : [0, 1]) {
    test(`${layout}, a layer fails when thread ${index} of its threads dies, and the next is served (F10)`, async () => {
      await using root = await scene();
      await using fresh = {
        pool: new LanePool({ size: 1, ownHasher }),
        [Symbol.asyncDispose]: () => fresh.pool.close(),
      };
      const blob = gzipSync(await tarOf({ a: "x".repeat(1_000_000) }));
      const started = Promise.withResolvers<void>();
      const waiting = async function* (): AsyncGenerator<Uint8Array> {
        yield blob.subarray(0, 100);
        started.resolve();
        await new Promise(() => undefined);
      };
      const run = (source: AsyncIterable<Uint8Array>): Promise<Applied> =>
        fresh.pool.run(
          (lane, place) =>
            lane.apply({
              source,
              place,
              subject: "layer",
              job: { root: root.path, options: {} },
              decode: { decoders: "node", limits: {} },
            }),
          { group: fresh },
        );
      const failing = run(waiting());
      failing.catch(() => undefined);
      await started.promise;
      await setImmediate();
      expect(threads.length).toBe(ownHasher ? 3 : 2);
      await threads[index]?.terminate();
      await expect(failing).rejects.toMatchObject({ code: "ERR_INTERNAL" });
      await expect(run(inPieces(blob, 1000))).resolves.toMatchObject({ entries: 1 });
    });
  }
}
