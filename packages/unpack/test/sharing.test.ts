import { createKeyedLock, createLimiter } from "@varve/locks";
import { describe, expect, test } from "vitest";
import { FakeApplier, FakeSnapshotter, FakeStagingApplier, layerOf, RebasingSnapshotter, textImage } from "./fakes.ts";
import { Harness } from "./harness.ts";

const texts = ["+a=1\n+b=1", "-a\n~b=2", "+c=3"];

describe.each([
  { mode: "sequential", rebase: false },
  { mode: "parallel", rebase: true },
])("unpackers that share limiters and locks, $mode", ({ rebase }) => {
  // U-UNP.2
  test("together fetch and apply no more at once than one of them may", async () => {
    const shared = { fetchLimiter: createLimiter(2), unpackLimiter: createLimiter(2) };
    const harness = new Harness({ rebase, ...shared });
    const images = [1, 2, 3].map((image) =>
      harness.add(
        textImage(
          harness.content,
          [1, 2, 3, 4].map((layer) => `+f${layer}=${image}`),
        ),
      ),
    );
    let most = 0;
    for (const layer of images.flatMap((image) => image.layers)) {
      harness.fetches.set(layer.blob.digest, async () => {
        most = Math.max(most, harness.fetching);
        await new Promise((resolve) => setImmediate(resolve));
        harness.content.put(layer.bytes);
      });
    }
    harness.applier.hook = () => new Promise((resolve) => setImmediate(resolve));
    await Promise.all(images.map((image) => harness.pull([image])));
    expect(most).toBe(2);
    expect(harness.applier.most).toBe(2);
    expect(harness.applier.applied).toHaveLength(12);
  });

  // U-UNP.2, S4.13: the suppressor heeds the signal of who waits, and of nobody else
  test("an abort ends the waiting for another unpack of the same layers, which goes on", async () => {
    const harness = new Harness({ rebase, locks: createKeyedLock() });
    const image = harness.add(textImage(harness.content, texts));
    const release = harness.hold(layerOf(image, 0));
    const first = harness.pull([image]);
    await harness.until(() => harness.fetching > 0);
    const controller = new AbortController();
    const reason = new Error("enough");
    const second = harness.pull([image], { signal: controller.signal }).catch((error: unknown) => error);
    await harness.settle();
    controller.abort(reason);
    expect(await second).toBe(reason);
    release();
    const [result] = await first;
    expect(result?.layers.map(({ status }) => status)).toEqual(["unpacked", "unpacked", "unpacked"]);
    expect(harness.applier.applied).toHaveLength(3);
  });
});

// U-UNP.12, C-UNP.3: containerd needs a limiter for it, too; here there always is one
test.each([
  { snapshotter: "can rebase", applier: "can stage", parallel: true },
  { snapshotter: "can rebase", applier: "cannot stage", parallel: false },
  { snapshotter: "cannot rebase", applier: "can stage", parallel: false },
])("with a snapshotter that $snapshotter and an applier that $applier: parallel $parallel", async (combination) => {
  const snapshotter = combination.snapshotter === "can rebase" ? new RebasingSnapshotter() : new FakeSnapshotter();
  const harness = new Harness({ snapshotter });
  const Applier = combination.applier === "can stage" ? FakeStagingApplier : FakeApplier;
  const applier = new Applier(harness.content, snapshotter);
  const image = harness.add(textImage(harness.content, texts));
  await harness.pull([image], { platforms: [{ ...harness.platform, applier }] });
  const parents = snapshotter.calls.filter((call) => call.startsWith("prepare"));
  expect(parents).toEqual(
    image.chain.map(
      (chainId, at) => `prepare ${chainId} on ${combination.parallel ? "" : (image.chain[at - 1] ?? "")}`,
    ),
  );
  // Strictly in order, each with its parent.
  const given = snapshotter.calls.filter((call) => /^(rebase|commit)/.test(call));
  expect(given).toEqual(
    image.chain.flatMap((chainId, at) =>
      combination.parallel && at > 0
        ? [`rebase ${chainId} on ${image.chain[at - 1]}`, `commit ${chainId}`]
        : [`commit ${chainId}`],
    ),
  );
  expect(snapshotter.tree(image.chain[2] ?? "")).toEqual({ b: "12", c: "3" });
});

// U-UNP.13, G-31: containerd applies layers above the first through an overlay mount that it makes up, because its applier sees what
// to do with a whiteout by the type of the mount. Here `stage` says it, so the mounts stay as the snapshotter gave them.
test("a layer that is written before its parent is there is staged with the mounts of its own snapshot", async () => {
  const harness = new Harness({ rebase: true });
  const image = harness.add(textImage(harness.content, texts));
  const staged: unknown[] = [];
  const applier = new FakeStagingApplier(harness.content, harness.snapshotter);
  const stage = applier.stage.bind(applier);
  applier.stage = async (layer, mounts, options) => {
    staged.push(...mounts.map(({ source, options: mountOptions, type }) => [type, source.split(" ")[1], mountOptions]));
    return stage(layer, mounts, options);
  };
  await harness.pull([image], { platforms: [{ ...harness.platform, applier }] });
  // The bottom layer has no parent in any case, and is applied.
  expect(staged).toEqual(image.chain.slice(1).map((chainId) => ["fake", chainId, []]));
});
