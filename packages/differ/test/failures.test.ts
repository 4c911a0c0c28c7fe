import { randomBytes } from "node:crypto";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { createDiffer } from "@varve/differ";
import { digestOf } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import { afterAll, expect, test } from "vitest";
import { FakeStore } from "./fake-store.ts";
import { bindOf, inPieces, scene, tarOf } from "./scene.ts";

const content = new FakeStore();
// One lane for all, so that whatever a failure leaves in its threads and rings is in the way of the next layer.
const differ = createDiffer({ content, concurrency: 1 });
afterAll(() => differ.close());

/** The same numbers in every run. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const stopped = new Error("stopped");
const reasons = ["stopped", "the source failed", "the store failed", "ends too early", "unexpected end"];

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await (turn % 3 === 0 ? setImmediate() : undefined);
}

test("layers that fail or are aborted at any moment fail with their reason, and never hold the next one up", async () => {
  await using root = await scene();
  const next = numbers(5);
  const tar = await tarOf({ a: "a".repeat(300_000), b: "b" });
  const blobs = [tar, gzipSync(tar), zstdCompressSync(tar)] as const;
  const tree = join(root.path, "tree");
  await mkdir(tree);
  await writeFile(join(tree, "big"), Buffer.alloc(700_000, "x"));
  const failing = async function* (bytes: Uint8Array, at: number): AsyncGenerator<Uint8Array> {
    yield* inPieces(bytes.subarray(0, at), 1 + next(100_000));
    if (next(2) === 0) throw new Error("the source failed");
  };
  const outcomes = new Set<string>();
  for (let round = 0; round < 120; round += 1) {
    const stop = new AbortController();
    const { signal } = stop;
    if (next(3) === 0) void turns(next(60)).then(() => stop.abort(stopped));
    const blob = blobs[next(3)] ?? tar;
    const failAt = next(1_000_000);
    content.onWrite = (written) => (written > failAt ? Promise.reject(new Error("the store failed")) : undefined);
    const mediaType = next(2) === 0 ? mediaTypes.ociLayer : mediaTypes.ociLayerGzip;
    const outcome = await (
      next(4) === 0
        ? differ.compare([], bindOf(tree), { signal, mediaType })
        : differ.applyStream(failing(blob, next(blob.length * 2)), tree, { signal })
    ).then(
      () => "made",
      (error: unknown) => reasons.find((reason) => String(error).includes(reason)) ?? String(error),
    );
    expect(["made", ...reasons]).toContain(outcome);
    outcomes.add(outcome);
    expect(content.ingests.size).toBe(0);
  }
  expect(outcomes.size).toBeGreaterThan(3);
  const whole = await differ.applyStream(inPieces(blobs[1], 1000), tree);
  expect(whole.digest).toBe(digestOf(tar));
});

test("a job that cannot be handed to a thread fails alone", async () => {
  await using root = await scene();
  // More than the rings hold, so that what is left at work by the first layer meets the second one.
  const tar = await tarOf({ a: randomBytes(6_000_000).toString("base64") });
  const blob = gzipSync(tar, { level: 1 });
  // What types would stop comes from JavaScript all the same; the threads before that one have got their jobs by then.
  const options = { split: (() => "") as unknown as string };
  await expect(differ.applyStream(inPieces(blob, 100_000), root.path, options)).rejects.toThrow("could not be cloned");
  await expect(differ.applyStream(inPieces(blob, 100_000), root.path)).resolves.toMatchObject({
    digest: digestOf(tar),
  });
});

test("records of tar-split do not stay when the layer fails after they were written", async () => {
  await using root = await scene();
  const tree = join(root.path, "tree");
  await mkdir(tree);
  // Refused at the very end, by the thread that writes: the one that hashes and records is further by then.
  const tar = await tarOf({ a: "a".repeat(1_500_000), ".wh..": "" });
  const split = join(root.path, "split.gz");
  await differ.applyStream(inPieces(await tarOf({ b: "b" }), 512), tree, { split });
  await expect(differ.applyStream(inPieces(tar, 1 << 20), tree, { split })).rejects.toThrow(".wh..");
  expect(await readdir(root.path)).toEqual(["tree"]);
});
