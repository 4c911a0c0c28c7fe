import { CodedError } from "@varve/errors";
import { createLimiter } from "@varve/locks";
import { expect, test } from "vitest";
import { layerOf, textImage } from "./fakes.ts";
import { Harness } from "./harness.ts";

const texts = ["+a=1\n+b=1", "-a\n~b=2", "+c=3", "-c\n~b=4"];

// G-31: the same tree both ways, whiteouts and what refers to lower layers included
test("parallel and sequential unpacks give the same snapshots", async () => {
  const outcomes = [];
  for (const options of [{ rebase: false }, { rebase: true }, { rebase: true, parallel: false }]) {
    const harness = new Harness(options);
    const image = harness.add(textImage(harness.content, texts));
    const results = await harness.pull([image]);
    const trees = image.chain.map((chainId) => harness.snapshotter.tree(chainId));
    const labels = image.chain.map((chainId) => harness.snapshotter.entries.get(chainId)?.labels);
    const parents = image.chain.map((chainId) => harness.snapshotter.entries.get(chainId)?.parent);
    outcomes.push({ results, trees, labels, parents });
  }
  expect(outcomes[1]).toEqual(outcomes[0]);
  expect(outcomes[2]).toEqual(outcomes[0]);
  expect(outcomes[0]?.trees.at(-1)).toEqual({ b: "124" });
});

// U-UNP.11
test("without parallel work a layer is prepared on its parent, after that was committed", async () => {
  const harness = new Harness({ rebase: true, parallel: false });
  const image = harness.add(textImage(harness.content, texts.slice(0, 2)));
  await harness.pull([image]);
  expect(harness.snapshotter.calls.filter((call) => /^(prepare|commit|rebase)/.test(call))).toEqual([
    `prepare ${image.chain[0]} on `,
    `commit ${image.chain[0]}`,
    `prepare ${image.chain[1]} on ${image.chain[0]}`,
    `commit ${image.chain[1]}`,
  ]);
});

// U-UNP.11, S4.10
test("without parallel work the next layers download while one is applied", async () => {
  const harness = new Harness();
  const image = harness.add(textImage(harness.content, texts.slice(0, 3)));
  const gate = Promise.withResolvers<void>();
  harness.applier.hook = () => gate.promise;
  const pulling = harness.pull([image]);
  await harness.until(() => harness.fetched.length === 3 && harness.fetching === 0);
  expect(harness.snapshotter.committed()).toEqual([]);
  gate.resolve();
  await pulling;
});

// C-UNP.4
test("when the second of three cannot be prepared, the third never is and the first is committed", async () => {
  const harness = new Harness({ rebase: true });
  const image = harness.add(textImage(harness.content, texts.slice(0, 3)));
  const failure = new CodedError("ERR_FAILED_PRECONDITION", "snapshot: no");
  harness.snapshotter.hooks.prepare = (key) => {
    if (key.endsWith(image.chain[1] ?? "-")) throw failure;
  };
  await expect(harness.pull([image])).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION", cause: failure });
  expect(harness.snapshotter.calls.filter((call) => call.startsWith(`prepare ${image.chain[2]}`))).toEqual([]);
  expect(harness.snapshotter.committed()).toEqual([image.chain[0]]);
  expect(harness.snapshotter.active()).toEqual([]);
});

// U-UNP.16
test("a layer that is needed below a failed one goes on downloading, what is needed above only is stopped", async () => {
  const harness = new Harness({ rebase: true, unpackLimiter: createLimiter(4) });
  const image = harness.add(textImage(harness.content, ["+a=1", "+b=1", "+a=1", "+c=1"]));
  const release = harness.hold(layerOf(image, 0));
  harness.hold(layerOf(image, 3));
  harness.applier.hook = async (layer) => {
    if (layer.digest !== layerOf(image, 1).blob.digest) return;
    await harness.until(() => harness.snapshotter.active().length === 4);
    throw new Error("boom");
  };
  const failure = harness.pull([image]).catch((error: unknown) => error);
  await harness.until(() => harness.snapshotter.active().length === 4);
  await harness.until(() => harness.fetching === 1);
  await harness.settle();
  expect(harness.snapshotter.active().map((key) => key.split(" ")[1])).toEqual([image.chain[0]]);
  release();
  expect(await failure).toMatchObject({ cause: { message: "boom" } });
  expect(harness.snapshotter.committed()).toEqual([image.chain[0]]);
});

test("closing after a failure also stops what was still needed below", async () => {
  const harness = new Harness({ rebase: true });
  const image = harness.add(textImage(harness.content, ["+a=1", "+b=1"]));
  harness.hold(layerOf(image, 0));
  harness.applier.hook = () => {
    throw new Error("boom");
  };
  const unpacker = harness.unpacker();
  const context = { signal: new AbortController().signal };
  await unpacker.wrap(harness.inner)(image.manifest, context);
  await unpacker.wrap(harness.inner)(image.config, context);
  await harness.until(() => harness.fetching === 1 && harness.fetched.length === 2);
  await harness.settle();
  expect(harness.fetching).toBe(1);
  await unpacker.close();
  expect(harness.fetching).toBe(0);
  expect(harness.snapshotter.entries.size).toBe(0);
});

// U-UNP.16, K13
test("what was committed below a failed layer is used by the next try", async () => {
  const harness = new Harness({ rebase: true });
  const image = harness.add(textImage(harness.content, texts));
  harness.applier.hook = (layer) => {
    if (layer.digest === layerOf(image, 3).blob.digest) throw new Error("boom");
  };
  await expect(harness.pull([image])).rejects.toThrow("failed to extract layer");
  expect(harness.snapshotter.committed()).toEqual(image.chain.slice(0, 3));
  harness.applier.hook = undefined;
  const [result] = await harness.pull([image]);
  expect(result?.layers.map((layer) => layer.status)).toEqual(["exists", "exists", "exists", "unpacked"]);
});

function fail(): never {
  throw new CodedError("ERR_INVALID_DATA", "entry x: hard link to nothing");
}

test.each(["rebase", "settle"])("a layer whose %s fails is removed with all above it", async (phase) => {
  const harness = new Harness({ rebase: true });
  const image = harness.add(textImage(harness.content, texts));
  if (phase === "rebase") harness.snapshotter.hooks.rebase = fail;
  else harness.applier.settleHook = fail;
  await expect(harness.pull([image])).rejects.toMatchObject({
    code: "ERR_INVALID_DATA",
    message: `layer ${layerOf(image, 1).blob.digest}: failed to ${
      // As it would be told by a sequential unpack, which finds the same while it extracts.
      phase === "rebase"
        ? `put the layer on snapshot ${image.chain[0]}`
        : `extract layer ${layerOf(image, 1).diff.digest}`
    }`,
  });
  expect(harness.snapshotter.committed()).toEqual([image.chain[0]]);
  expect(harness.snapshotter.active()).toEqual([]);
});

test("no more snapshots are prepared than layers may be applied or wait for their turn", async () => {
  const harness = new Harness({ rebase: true, unpackLimiter: createLimiter(2) });
  const image = harness.add(textImage(harness.content, texts));
  const release = harness.hold(layerOf(image, 0));
  const releaseNext = harness.hold(layerOf(image, 1));
  const pulling = harness.pull([image]);
  await harness.settle();
  expect(harness.snapshotter.active()).toHaveLength(2);
  release();
  releaseNext();
  await pulling;
});

// U-UNP.9
test("a layer that another process has committed meanwhile is not fetched if its turn had not come", async () => {
  const harness = new Harness({ rebase: true, fetchLimiter: createLimiter(1) });
  const image = harness.add(textImage(harness.content, ["+a=1", "+b=1"]));
  const release = harness.hold(layerOf(image, 0));
  harness.snapshotter.hooks.prepare = () => {
    for (const [index, chainId] of image.chain.entries()) {
      const parent = image.chain[index - 1];
      harness.snapshotter.entries.set(chainId, { kind: "committed", parent, labels: {}, files: new Map() });
    }
    throw new CodedError("ERR_ALREADY_EXISTS", "snapshot: already exists");
  };
  const pulling = harness.pull([image]);
  await harness.settle();
  release();
  const [result] = await pulling;
  expect(result?.layers.map((layer) => layer.status)).toEqual(["exists", "exists"]);
  expect(harness.fetched).toEqual([layerOf(image, 0).blob.digest]);
});

// The lowest first, or commits would wait for layers that wait for slots.
test("the limiter's slots go to the lowest layers first", async () => {
  const harness = new Harness({ rebase: true, unpackLimiter: createLimiter(1), fetchLimiter: createLimiter(1) });
  const image = harness.add(textImage(harness.content, texts));
  await harness.pull([image]);
  const order = image.layers.map((layer) => layer.blob.digest);
  expect(harness.fetched).toEqual(order);
  expect(harness.applier.applied).toEqual(order);
});
