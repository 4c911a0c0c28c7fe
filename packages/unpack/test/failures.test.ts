import { digestOf } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { createKeyedLock } from "@varve/locks";
import { describe, expect, test } from "vitest";
import { layerOf, textImage, textLayer } from "./fakes.ts";
import { Harness } from "./harness.ts";

const texts = ["+a=1\n+b=1", "-a\n~b=2", "+c=3"];

describe.each([
  { mode: "sequential", rebase: false },
  { mode: "parallel", rebase: true },
])("an unpacker that fails or is stopped, $mode", ({ rebase }) => {
  // S4.9, U-UNP.5
  test("a config with another number of layers is refused with both numbers", async () => {
    const harness = new Harness({ rebase });
    const image = harness.add(textImage(harness.content, texts, { diffIds: [textLayer("+a=1").diff.digest] }));
    await expect(harness.pull([image])).rejects.toMatchObject({
      code: "ERR_INVALID_DATA",
      message: expect.stringMatching(/3 layers.*1 diff ids/),
    });
    expect(harness.fetched).toEqual([]);
  });

  // U-UNP.14, S0.13, B13
  test("a layer with another diff ID than the config says is never committed", async () => {
    const harness = new Harness({ rebase });
    const diffIds = [texts[0], "+evil=1", texts[2]].map((text) => textLayer(text ?? "").diff.digest);
    const image = harness.add(textImage(harness.content, texts, { diffIds }));
    await expect(harness.pull([image])).rejects.toMatchObject({
      code: "ERR_DIGEST_MISMATCH",
      message: expect.stringContaining(layerOf(image, 1).blob.digest ?? ""),
    });
    expect(harness.snapshotter.committed()).toEqual([textLayer(texts[0] ?? "").diff.digest]);
    expect(harness.snapshotter.active()).toEqual([]);
  });

  // F11
  test("a stored layer whose bytes have changed is told from a bad image, and quarantined", async () => {
    const harness = new Harness({ rebase });
    const image = harness.add(textImage(harness.content, texts));
    const { blob, bytes } = layerOf(image, 1);
    const damaged = Uint8Array.from(bytes, (byte, index) => (index === 1 ? byte ^ 1 : byte));
    harness.fetches.set(blob.digest, async () => void harness.content.blobs.set(blob.digest, damaged));
    const taken: string[] = [];
    Object.assign(harness.content, {
      quarantine: async (digest: string) => {
        taken.push(digest);
        return { id: "q1", digest, size: damaged.length, quarantinedAt: new Date(0) };
      },
    });
    const found: RegExp = new RegExp(digestOf(damaged));
    await expect(harness.pull([image])).rejects.toMatchObject({
      code: "ERR_DIGEST_MISMATCH",
      message: expect.stringMatching(found),
    });
    expect(taken).toEqual([blob.digest]);
    expect(harness.snapshotter.active()).toEqual([]);
  });

  // U-UNP.16: those below are committed, those above are not
  test("a layer that cannot be applied stops those above it and not those below", async () => {
    const harness = new Harness({ rebase });
    const image = harness.add(textImage(harness.content, texts));
    const [bottom, middle, top] = [layerOf(image, 0), layerOf(image, 1), layerOf(image, 2)];
    harness.applier.hook = (layer) => {
      if (layer.digest === middle.blob.digest) throw Object.assign(new Error("ENOSPC: no space"), { code: "ENOSPC" });
    };
    harness.hold(top);
    await expect(harness.pull([image])).rejects.toMatchObject({ code: "ENOSPC" });
    expect(harness.snapshotter.committed()).toEqual([bottom.diff.digest]);
    expect(harness.snapshotter.active()).toEqual([]);
    expect(harness.fetching).toBe(0);
  });

  // U-UNP.17
  test("a download that fails ends the other downloads at once, and nothing is left", async () => {
    const harness = new Harness({ rebase });
    const image = harness.add(textImage(harness.content, texts));
    const [bottom, top] = [layerOf(image, 0), layerOf(image, 2)];
    harness.hold(bottom);
    const failure = new CodedError("ERR_NETWORK", "registry: gone");
    harness.fetches.set(top.blob.digest, async () => {
      throw failure;
    });
    await expect(harness.pull([image])).rejects.toMatchObject({
      code: "ERR_NETWORK",
      message: `layer ${top.blob.digest}: failed to fetch`,
      cause: failure,
    });
    expect(harness.fetching).toBe(0);
    expect(harness.snapshotter.entries.size).toBe(0);
  });

  // U-UNP.16
  test("layers that are stored are still committed when a download above them fails", async () => {
    const harness = new Harness({ rebase });
    const image = harness.add(textImage(harness.content, texts));
    const [bottom, top] = [layerOf(image, 0), layerOf(image, 2)];
    const gate = Promise.withResolvers<void>();
    harness.applier.hook = async (layer) => {
      if (layer.digest === bottom.blob.digest) await gate.promise;
    };
    harness.fetches.set(top.blob.digest, async () => {
      await harness.until(() => harness.applier.running > 0);
      throw new CodedError("ERR_NETWORK", "registry: gone");
    });
    const pulling = harness.pull([image]);
    const failure = pulling.catch((error: unknown) => error);
    await harness.settle();
    gate.resolve();
    expect(await failure).toMatchObject({ code: "ERR_NETWORK" });
    expect(harness.snapshotter.committed()).toContain(bottom.diff.digest);
    expect(harness.snapshotter.active()).toEqual([]);
  });

  // S4.14b, S4.15: each side ends the other
  test("a layer that fails stops the walk", async () => {
    const harness = new Harness({ rebase });
    const image = harness.add(textImage(harness.content, texts));
    const other = harness.add(textImage(harness.content, ["+other=1"]));
    harness.applier.hook = () => {
      throw new Error("boom");
    };
    const unpacker = harness.unpacker();
    const context = { signal: new AbortController().signal };
    const handler = unpacker.wrap(harness.inner);
    await handler(image.manifest, context);
    await handler(image.config, context);
    await expect(unpacker.wait()).rejects.toThrow("failed to extract layer");
    await expect(handler(other.manifest, context)).rejects.toThrow("failed to extract layer");
    await unpacker.close();
    expect(harness.walked).not.toContain(other.manifest.digest);
  });

  // S4.5, S4.15
  test("an error of the walk passes as it is and stops what is being unpacked", async () => {
    const harness = new Harness({ rebase });
    const image = harness.add(textImage(harness.content, texts));
    harness.hold(layerOf(image, 0));
    const failure = new CodedError("ERR_NETWORK", "registry: gone");
    const unpacker = harness.unpacker();
    const context = { signal: new AbortController().signal };
    await unpacker.wrap(harness.inner)(image.manifest, context);
    await unpacker.wrap(harness.inner)(image.config, context);
    await harness.until(() => harness.fetching > 0);
    const failing = unpacker.wrap(async () => {
      throw failure;
    });
    await expect(failing(image.manifest, context)).rejects.toBe(failure);
    await expect(unpacker.wait()).rejects.toBe(failure);
    await unpacker.close();
    expect(harness.fetching).toBe(0);
    expect(harness.snapshotter.active()).toEqual([]);
  });

  // S4.13, U-UNP.19, C05
  test.each(["fetch", "apply", "stat", "prepare", "commit"])(
    "an abort during %s leaves nothing behind",
    async (phase) => {
      const harness = new Harness({ rebase });
      const image = harness.add(textImage(harness.content, texts));
      const controller = new AbortController();
      const reason = new Error("enough");
      const abort = (): void => controller.abort(reason);
      if (phase === "fetch") {
        harness.hold(layerOf(image, 0));
        harness.fetches.set(layerOf(image, 1).blob.digest, async (_, { signal }) => {
          abort();
          signal.throwIfAborted();
        });
      } else if (phase === "apply") harness.applier.hook = abort;
      else harness.snapshotter.hooks = { [phase]: abort };
      await expect(harness.pull([image], { signal: controller.signal })).rejects.toBe(reason);
      expect(harness.snapshotter.active()).toEqual([]);
      expect(harness.fetching).toBe(0);
      harness.snapshotter.hooks = {};
      harness.applier.hook = undefined;
      harness.fetches.clear();
      const [result] = await harness.pull([image]);
      expect(result?.chainId).toBe(image.chain[2]);
    },
  );

  // U-UNP.18, S4.11, S4.12
  test("labels what it unpacked, and the config that keeps the snapshots", async () => {
    const harness = new Harness({ rebase });
    await harness.pull([harness.add(textImage(harness.content, texts.slice(0, 1)))]);
    harness.content.labels.clear();
    const image = harness.add(textImage(harness.content, texts));
    await harness.pull([image]);
    const [bottom, middle, top] = [layerOf(image, 0), layerOf(image, 1), layerOf(image, 2)];
    expect(Object.fromEntries(harness.content.labels)).toEqual({
      [middle.blob.digest]: { "containerd.io/uncompressed": middle.diff.digest },
      [top.blob.digest]: { "containerd.io/uncompressed": top.diff.digest },
      [image.config.digest]: { "containerd.io/gc.ref.snapshot.fake": image.chain[2] },
    });
    expect(harness.content.labels.has(bottom.blob.digest)).toBe(false);
  });

  // U-UNP.6, U-UNP.17
  test("a layer of another platform that cannot be fetched fails the pull", async () => {
    const harness = new Harness({ rebase });
    const image = harness.add(textImage(harness.content, texts, { architecture: "s390x" }));
    harness.hold(layerOf(image, 0));
    harness.fetches.set(layerOf(image, 1).blob.digest, async () => {
      throw new CodedError("ERR_NETWORK", "registry: gone");
    });
    await expect(harness.pull([image])).rejects.toMatchObject({ code: "ERR_NETWORK" });
    expect(harness.fetching).toBe(0);
  });

  // D10, C02
  test("who waited for another unpack takes over when that fails", async () => {
    const harness = new Harness({ rebase, locks: createKeyedLock() });
    const image = harness.add(textImage(harness.content, texts));
    let failures = 1;
    harness.applier.hook = async () => {
      await harness.settle();
      failures -= 1;
      if (failures === 0) throw new Error("boom");
    };
    const [first, second] = await Promise.allSettled([harness.pull([image]), harness.pull([image])]);
    expect([first.status, second.status].toSorted()).toEqual(["fulfilled", "rejected"]);
    expect(harness.snapshotter.committed()).toHaveLength(3);
    expect(harness.snapshotter.active()).toEqual([]);
    expect(harness.events.some((event) => event.type === "waiting")).toBe(true);
  });

  // S4.14b
  test("a layer that fails stops the walk even while one below it is still applied", async () => {
    const harness = new Harness({ rebase });
    const image = harness.add(textImage(harness.content, texts));
    const other = harness.add(textImage(harness.content, ["+other=1"]));
    const gate = Promise.withResolvers<void>();
    harness.applier.hook = () => gate.promise;
    harness.fetches.set(layerOf(image, 1).blob.digest, async () => {
      await harness.until(() => harness.applier.running > 0);
      throw new CodedError("ERR_NETWORK", "registry: gone");
    });
    const unpacker = harness.unpacker();
    const context = { signal: new AbortController().signal };
    const handler = unpacker.wrap(harness.inner);
    await handler(image.manifest, context);
    await handler(image.config, context);
    await harness.until(() => harness.applier.running > 0);
    await harness.settle();
    await expect(handler(other.manifest, context)).rejects.toMatchObject({ code: "ERR_NETWORK" });
    expect(harness.applier.running).toBe(1);
    gate.resolve();
    await expect(unpacker.wait()).rejects.toMatchObject({ code: "ERR_NETWORK" });
    expect(harness.snapshotter.committed()).toEqual([image.chain[0]]);
    await unpacker.close();
  });

  test.each(["amd64", "s390x"])("waits for downloads that are slow to end, for %s", async (architecture) => {
    const harness = new Harness({ rebase });
    const image = harness.add(textImage(harness.content, texts, { architecture }));
    for (const layer of image.layers.slice(0, 2)) {
      harness.fetches.set(layer.blob.digest, async (_, { signal }) => {
        await harness.until(() => signal.aborted);
        await harness.settle();
        signal.throwIfAborted();
      });
    }
    harness.fetches.set(layerOf(image, 2).blob.digest, async () => {
      throw new CodedError("ERR_NETWORK", "registry: gone");
    });
    const unpacker = harness.unpacker();
    const context = { signal: new AbortController().signal };
    await unpacker.wrap(harness.inner)(image.manifest, context);
    await unpacker.wrap(harness.inner)(image.config, context);
    await expect(unpacker.wait()).rejects.toMatchObject({ code: "ERR_NETWORK" });
    expect(harness.fetching).toBe(0);
    await unpacker.close();
  });

  test("closing stops what runs, and waits for it", async () => {
    const harness = new Harness({ rebase });
    const image = harness.add(textImage(harness.content, texts));
    harness.hold(layerOf(image, 0));
    const unpacker = harness.unpacker();
    const context = { signal: new AbortController().signal };
    await unpacker.wrap(harness.inner)(image.manifest, context);
    await unpacker.wrap(harness.inner)(image.config, context);
    await harness.until(() => harness.fetching > 0);
    await unpacker.close();
    await unpacker.close();
    expect(harness.fetching).toBe(0);
    expect(harness.applier.running).toBe(0);
    expect(harness.snapshotter.active()).toEqual([]);
    await expect(unpacker.wait()).rejects.toMatchObject({ code: "ERR_ABORTED" });
  });

  test("a handler that comes back after the failure starts nothing", async () => {
    const harness = new Harness({ rebase });
    const image = harness.add(textImage(harness.content, texts));
    const unpacker = harness.unpacker();
    const context = { signal: new AbortController().signal };
    const gate = Promise.withResolvers<void>();
    await unpacker.wrap(harness.inner)(image.manifest, context);
    const late = unpacker.wrap(async () => {
      await gate.promise;
      return [];
    })(image.config, context);
    await unpacker.close();
    gate.resolve();
    await expect(late).rejects.toMatchObject({ code: "ERR_ABORTED" });
    await harness.settle();
    expect(harness.fetched).toEqual([]);
  });
});
