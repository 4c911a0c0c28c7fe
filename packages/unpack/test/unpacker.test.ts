import { CodedError } from "@varve/errors";
import { createKeyedLock, createLimiter } from "@varve/locks";
import { onlyPlatform, parsePlatform } from "@varve/oci";
import { describe, expect, test } from "vitest";
import { layerOf, FakeApplier, FakeSnapshotter, imageOf, textImage, textLayer } from "./fakes.ts";
import { Harness } from "./harness.ts";

const texts = ["+a=1\n+b=1", "-a\n~b=2", "+c=3"];

describe.each([
  { mode: "sequential", rebase: false },
  { mode: "parallel", rebase: true },
])("an unpacker that works $mode", ({ rebase }) => {
  // U-UNP.3, S4.6, S4.7
  test("keeps layers out of the walk, fetches and unpacks them, and says what became of them", async () => {
    const harness = new Harness({ rebase });
    const image = harness.add(textImage(harness.content, texts));
    const results = await harness.pull([image]);
    expect(harness.walked).toEqual([image.manifest.digest, image.config.digest]);
    expect(harness.fetched).toEqual(image.layers.map((layer) => layer.blob.digest));
    expect(results).toEqual([
      {
        chainId: image.chain[2],
        manifest: image.manifest.digest,
        config: image.config.digest,
        platform: parsePlatform("linux/amd64"),
        snapshotterName: "fake",
        layers: image.layers.map((layer, index) => ({
          digest: layer.blob.digest,
          diffId: layer.diff.digest,
          chainId: image.chain[index],
          size: layer.blob.size,
          status: "unpacked",
        })),
      },
    ]);
    expect(harness.snapshotter.tree(image.chain[2] ?? "")).toEqual({ b: "12", c: "3" });
    expect(harness.snapshotter.active()).toEqual([]);
  });

  // U-UNP.10, S0.20
  test("fetches nothing the second time and asks for the top snapshot only", async () => {
    const harness = new Harness({ rebase });
    const image = harness.add(textImage(harness.content, texts));
    await harness.pull([image]);
    harness.fetched.length = 0;
    harness.snapshotter.calls.length = 0;
    const [result] = await harness.pull([image]);
    expect(result?.layers.map((layer) => layer.status)).toEqual(["exists", "exists", "exists"]);
    expect(harness.fetched).toEqual([]);
    expect(harness.snapshotter.calls).toEqual([`stat ${image.chain[2]}`]);
  });

  // U-UNP.10
  test("downloads nothing below the first missing layer", async () => {
    const harness = new Harness({ rebase });
    await harness.pull([harness.add(textImage(harness.content, texts.slice(0, 2)))]);
    harness.fetched.length = 0;
    const image = harness.add(textImage(harness.content, texts));
    const [result] = await harness.pull([image]);
    expect(harness.fetched).toEqual([layerOf(image, 2).blob.digest]);
    expect(result?.layers.map((layer) => layer.status)).toEqual(["exists", "exists", "unpacked"]);
    expect(harness.snapshotter.tree(image.chain[2] ?? "")).toEqual({ b: "12", c: "3" });
  });

  // S4.10, G-30: commits go bottom-up whatever arrives first
  test("commits from the bottom up when layers arrive in another order", async () => {
    const harness = new Harness({ rebase });
    const image = harness.add(textImage(harness.content, texts));
    const release = image.layers.map((layer) => harness.hold(layer));
    const pulling = harness.pull([image]);
    await harness.until(() => harness.fetching === 3);
    release[2]?.();
    await harness.settle();
    release[1]?.();
    await harness.settle();
    expect(harness.snapshotter.committed()).toEqual([]);
    release[0]?.();
    await pulling;
    expect(harness.snapshotter.calls.filter((call) => call.startsWith("commit"))).toEqual(
      image.chain.map((chainId) => `commit ${chainId}`),
    );
  });

  // S4.14a
  test("an image that has one layer twice", async () => {
    const harness = new Harness({ rebase });
    const image = harness.add(textImage(harness.content, ["+a=1", "~a=2", "+a=1", "~a=2"]));
    const [result] = await harness.pull([image]);
    expect(harness.fetched).toHaveLength(2);
    expect(result?.layers).toHaveLength(4);
    expect(harness.snapshotter.tree(result?.chainId ?? "")).toEqual({ a: "12" });
  });

  // U-UNP.4, G-34
  test("two manifests with one config and other blobs are both unpacked, never mixed", async () => {
    const harness = new Harness({ rebase });
    const first = harness.add(textImage(harness.content, texts));
    // The same diff IDs under other blobs: as after compressing again.
    const layers = texts.map((text) => {
      const layer = textLayer(text);
      const bytes = new TextEncoder().encode(`gz!${text}`);
      return { ...layer, bytes };
    });
    const reversed = layers.map((layer) => ({ ...layer, blob: { ...layer.blob, annotations: { second: "yes" } } }));
    const second = harness.add(imageOf(harness.content, first.config, reversed));
    const results = await harness.pull([first, second]);
    expect(results.map((result) => result.manifest).toSorted()).toEqual(
      [first.manifest.digest, second.manifest.digest].toSorted(),
    );
    expect(new Set(results.map((result) => result.chainId))).toEqual(new Set([first.chain[2]]));
    expect(harness.applier.applied).toHaveLength(3);
  });

  // U-UNP.4, G-34
  test("a second manifest with one config and layers that are not the config's is an error", async () => {
    const harness = new Harness({ rebase });
    const first = harness.add(textImage(harness.content, ["+a=1"]));
    const second = harness.add(imageOf(harness.content, first.config, [textLayer("+b=2")]));
    await harness.pull([second, first]).catch(() => {});
    // Whichever came first, the chain holds what the config names, or nothing.
    const right = { a: "1" };
    const committed = harness.snapshotter.committed();
    expect(committed.map((chainId) => harness.snapshotter.tree(chainId))).toEqual(committed.map(() => right));
    expect(harness.snapshotter.active()).toEqual([]);
  });

  // S0.17, U-UNP.7, D10, G-35
  test("twenty pulls at once fetch and apply each layer once", async () => {
    const harness = new Harness({ rebase, locks: createKeyedLock() });
    const image = harness.add(textImage(harness.content, texts));
    const stored = harness.content.blobs;
    for (const layer of image.layers) {
      harness.fetches.set(layer.blob.digest, async () => {
        // What a true fetch does: a blob that is stored is not requested.
        if (stored.has(layer.blob.digest)) harness.fetched.splice(harness.fetched.lastIndexOf(layer.blob.digest), 1);
        else harness.content.put(layer.bytes);
      });
    }
    const results = await Promise.all(Array.from({ length: 20 }, () => harness.pull([image])));
    expect(harness.applier.applied.toSorted()).toEqual(image.layers.map((layer) => layer.blob.digest).toSorted());
    expect(harness.fetched).toHaveLength(3);
    expect(results.every(([result]) => result?.chainId === image.chain[2])).toBe(true);
    expect(harness.snapshotter.active()).toEqual([]);
  });

  // U-UNP.15, S0.14
  test("a layer that another process commits first counts as there", async () => {
    const harness = new Harness({ rebase });
    const image = harness.add(textImage(harness.content, ["+a=1"]));
    harness.snapshotter.hooks.commit = (name) => {
      harness.snapshotter.entries.set(name, { kind: "committed", parent: undefined, labels: {}, files: new Map() });
    };
    const [result] = await harness.pull([image]);
    expect(result?.layers[0]?.status).toBe("exists");
    expect(harness.snapshotter.active()).toEqual([]);
  });

  // U-UNP.9
  test("a taken key is tried again, and a layer that is there meanwhile is not unpacked", async () => {
    const harness = new Harness({ rebase });
    const image = harness.add(textImage(harness.content, texts));
    let first = true;
    harness.snapshotter.hooks.prepare = () => {
      if (!first) return;
      first = false;
      throw new CodedError("ERR_ALREADY_EXISTS", "snapshot: already exists");
    };
    const [result] = await harness.pull([image]);
    expect(result?.layers.map((layer) => layer.status)).toEqual(["unpacked", "unpacked", "unpacked"]);
  });

  // U-UNP.5
  test("an image whose root is not made of layers is fetched and not unpacked", async () => {
    const harness = new Harness({ rebase });
    const image = harness.add(textImage(harness.content, texts, { rootfsType: "erofs" }));
    expect(await harness.pull([image])).toEqual([]);
    expect(harness.fetched).toHaveLength(3);
    expect(harness.snapshotter.calls).toEqual([]);
  });

  test("an image that an index names twice is one result", async () => {
    const harness = new Harness({ rebase });
    const image = harness.add(textImage(harness.content, texts));
    expect(await harness.pull([image, image])).toHaveLength(1);
  });

  // U-UNP.6
  test("layers of another platform are fetched and not unpacked", async () => {
    const harness = new Harness({ rebase });
    const image = harness.add(textImage(harness.content, texts, { architecture: "s390x" }));
    expect(await harness.pull([image])).toEqual([]);
    expect(harness.fetched).toHaveLength(3);
    expect(harness.snapshotter.calls).toEqual([]);
  });

  // S4.16, G-33
  test("several platforms are unpacked, each to its own snapshotter", async () => {
    const harness = new Harness({ rebase });
    const amd64 = harness.add(textImage(harness.content, texts));
    const arm64 = harness.add(textImage(harness.content, ["+arm=1"], { architecture: "arm64" }));
    const snapshotter = new FakeSnapshotter();
    const applier = new FakeApplier(harness.content, snapshotter);
    const matcher = onlyPlatform(parsePlatform("linux/arm64"));
    const platforms = [harness.platform, { matcher, snapshotter, applier, snapshotterName: "other" }];
    const results = await harness.pull([amd64, arm64], { platforms });
    expect(results.map((result) => result.snapshotterName).toSorted()).toEqual(["fake", "other"]);
    expect(snapshotter.committed()).toEqual([arm64.chain[0]]);
    expect(harness.content.labels.get(arm64.config.digest)).toEqual({
      "containerd.io/gc.ref.snapshot.other": arm64.chain[0],
    });
  });

  test("an image without layers is a result without snapshots", async () => {
    const harness = new Harness({ rebase });
    const [result] = await harness.pull([harness.add(textImage(harness.content, []))]);
    expect(result).toMatchObject({ chainId: "", layers: [] });
    expect(harness.snapshotter.calls).toEqual([]);
  });

  // U-IMG.15
  test("children of an artifact stay in the walk", async () => {
    const harness = new Harness({ rebase });
    const layer = textLayer("+a=1");
    const config = { mediaType: "application/vnd.example.config", digest: harness.content.put(layer.bytes), size: 1 };
    const artifact = harness.add(imageOf(harness.content, config, [layer]));
    expect(await harness.pull([artifact])).toEqual([]);
    expect(harness.walked).toContain(layer.blob.digest);
    expect(harness.fetched).toEqual([]);
  });

  test("the events of every layer end with a final one", async () => {
    const harness = new Harness({ rebase });
    const image = harness.add(textImage(harness.content, texts));
    await harness.pull([image]);
    const [first, ...rest] = harness.events;
    expect(first).toEqual({
      type: "layers",
      layers: image.layers.map((layer) => layer.blob),
      diffIds: image.layers.map((layer) => layer.diff.digest),
    });
    for (const [index, layer] of image.layers.entries()) {
      const ours = rest.filter((event) => "descriptor" in event && event.descriptor.digest === layer.blob.digest);
      expect(ours.at(-1)).toEqual({ type: "committed", descriptor: layer.blob, chainId: image.chain[index] });
    }
  });

  test("no more layers are applied and fetched at once than the limiters allow", async () => {
    const many = Array.from({ length: 12 }, (_, index) => `+f${index}=1`);
    const harness = new Harness({ rebase, fetchLimiter: createLimiter(2), unpackLimiter: createLimiter(2) });
    const image = harness.add(textImage(harness.content, many));
    let most = 0;
    for (const layer of image.layers) {
      harness.fetches.set(layer.blob.digest, async () => {
        most = Math.max(most, harness.fetching);
        await new Promise((resolve) => setImmediate(resolve));
        harness.content.put(layer.bytes);
      });
    }
    harness.applier.hook = () => new Promise((resolve) => setImmediate(resolve));
    await harness.pull([image]);
    expect(most).toBe(2);
    expect(harness.applier.most).toBe(rebase ? 2 : 1);
    expect(harness.fetched).toEqual(image.layers.map((layer) => layer.blob.digest));
  });
});

// U-UNP.1
test("an unpacker without platforms is refused", () => {
  const harness = new Harness();
  expect(() => harness.unpacker({ platforms: [] })).toThrow(expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" }));
});
