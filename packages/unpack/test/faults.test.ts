import { CodedError } from "@varve/errors";
import { createKeyedLock, createLimiter } from "@varve/locks";
import { describe, expect, test } from "vitest";
import { textImage } from "./fakes.ts";
import { Harness } from "./harness.ts";

/** Numbers below 1 that are the same in every run (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const texts = ["+a=1\n+b=1", "-a\n~b=2", "+c=3", "~b=4", "+c=3", "-c\n+d=5"];
const tree = { b: "124", d: "5" };

/** A pull in which every step takes a random while and may fail, with some bytes arriving while they are applied. */
async function pullWithFaults(
  harness: Harness,
  next: () => number,
  rate: number,
  signal?: AbortSignal,
): Promise<unknown> {
  const image = harness.add(textImage(harness.content, texts));
  const step = async (): Promise<void> => {
    for (let turns = Math.floor(next() * 4); turns > 0; turns -= 1)
      await new Promise((resolve) => setImmediate(resolve));
    if (next() < rate) throw new CodedError("ERR_NETWORK", "injected: fault");
  };
  harness.snapshotter.hooks = { stat: step, prepare: step, commit: step, rebase: step };
  harness.applier.hook = step;
  harness.applier.settleHook = step;
  for (const layer of image.layers) {
    harness.fetches.set(layer.blob.digest, async (_, { signal: ours, onIngest }) => {
      const ref = `${layer.blob.digest}-${next()}`;
      const ingest = harness.content.ingest(ref);
      onIngest(ref);
      for (let at = 0; at < layer.bytes.length; at += 3) {
        await step();
        ours.throwIfAborted();
        ingest.write(layer.bytes.subarray(at, at + 3));
      }
      if (next() < rate) ingest.truncate();
      else ingest.end();
      harness.content.put(layer.bytes);
    });
  }
  return harness.pull([image], { signal }).then(
    () => undefined,
    (error: unknown) => error ?? new Error("failed without a reason"),
  );
}

describe.each([
  { mode: "sequential", rebase: false },
  { mode: "parallel", rebase: true },
])("whatever fails while working $mode", ({ rebase }) => {
  // S0.11, U-UNP.19, K10-K13, C05
  test("nothing is left running or half done, and a later try succeeds", async () => {
    let failures = 0;
    for (let seed = 1; seed <= 150; seed += 1) {
      const next = random(seed);
      const harness = new Harness({ rebase, unpackLimiter: createLimiter(3), fetchLimiter: createLimiter(2) });
      const controller = new AbortController();
      const aborting = seed % 3 === 0;
      const pulling = pullWithFaults(harness, next, aborting ? 0 : 0.02, controller.signal);
      if (aborting) {
        for (let turns = next() * 60; turns > 0; turns -= 1) await new Promise((resolve) => setImmediate(resolve));
        controller.abort(new Error("enough"));
      }
      const failure = await pulling;
      if (failure !== undefined) failures += 1;
      expect([seed, harness.snapshotter.active(), harness.fetching, harness.applier.running]).toEqual([seed, [], 0, 0]);
      const again = await pullWithFaults(harness, next, 0);
      expect([seed, again]).toEqual([seed, undefined]);
      const top = textImage(harness.content, texts).chain.at(-1) ?? "";
      expect([seed, harness.snapshotter.tree(top)]).toEqual([seed, tree]);
    }
    // Not all of them, so that faults late in a pull are among them.
    expect(failures).toBeGreaterThan(50);
    expect(failures).toBeLessThan(150);
  });

  // D10, C02, G-35
  test("pulls that share everything never block each other", async () => {
    for (let seed = 1; seed <= 30; seed += 1) {
      const next = random(seed);
      const shared = { locks: createKeyedLock(), unpackLimiter: createLimiter(2), fetchLimiter: createLimiter(2) };
      const harness = new Harness({ rebase, ...shared });
      await Promise.all(Array.from({ length: 6 }, () => pullWithFaults(harness, next, 0.01)));
      expect([seed, harness.snapshotter.active(), harness.fetching, harness.applier.running]).toEqual([seed, [], 0, 0]);
      const image = textImage(harness.content, texts);
      expect(await pullWithFaults(harness, next, 0)).toBeUndefined();
      expect([seed, harness.snapshotter.tree(image.chain.at(-1) ?? "")]).toEqual([seed, tree]);
    }
  });
});
