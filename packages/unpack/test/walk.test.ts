import { CodedError } from "@varve/errors";
import { dispatch } from "@varve/images";
import { createLimiter } from "@varve/locks";
import type { Descriptor } from "@varve/oci";
import { createUnpacker } from "@varve/unpack";
import { describe, expect, test } from "vitest";
import { layerOf, textImage } from "./fakes.ts";
import { Harness } from "./harness.ts";

const texts = ["+a=1\n+b=1", "-a\n~b=2", "+c=3"];
const context = { signal: new AbortController().signal };

describe.each([
  { mode: "sequential", rebase: false },
  { mode: "parallel", rebase: true },
])("an unpacker in a walk, $mode", ({ rebase }) => {
  // S4.1
  test("stands between the caller's wrapper, which sees no layers, and the handler, which lists them", async () => {
    const harness = new Harness({ rebase });
    const image = harness.add(textImage(harness.content, texts));
    const unpacker = harness.unpacker();
    const inside = unpacker.wrap(harness.inner);
    const outside: (readonly Descriptor[])[] = [];
    await dispatch(
      async (descriptor, call) => {
        const children = await inside(descriptor, call);
        outside.push(children);
        return children;
      },
      [image.manifest],
      {},
    );
    await unpacker.wait();
    await unpacker.close();
    expect(outside).toEqual([[image.config], []]);
    expect(harness.fetched).toHaveLength(3);
  });

  // S4.2
  test("is waited for until the last of its images is unpacked", async () => {
    const harness = new Harness({ rebase });
    const images = [texts, ["+slow=1"]].map((layers) => harness.add(textImage(harness.content, layers)));
    const slow = images[1]?.layers[0];
    const release = slow === undefined ? (): void => {} : harness.hold(slow);
    const unpacker = harness.unpacker();
    const roots = images.map(({ manifest }) => manifest);
    await dispatch(unpacker.wrap(harness.inner), roots, {});
    let isOver = false;
    const waiting = unpacker.wait().finally(() => (isOver = true));
    await harness.settle();
    expect(isOver).toBe(false);
    release();
    expect(await waiting).toHaveLength(2);
    expect(harness.snapshotter.committed()).toHaveLength(4);
    await unpacker.close();
  });

  // S4.2, S4.5
  test("tells its own error only if the walk has not failed before", async () => {
    const harness = new Harness({ rebase });
    const image = harness.add(textImage(harness.content, texts));
    const unpacker = harness.unpacker();
    const gate = Promise.withResolvers<void>();
    harness.applier.hook = async () => {
      await gate.promise;
      throw new Error("the layer is bad");
    };
    const handler = unpacker.wrap(harness.inner);
    await handler(image.manifest, context);
    await handler(image.config, context);
    await harness.until(() => harness.applier.running > 0);
    const failure = new CodedError("ERR_NETWORK", "registry: gone");
    const failing = unpacker.wrap(() => Promise.reject(failure));
    await expect(failing(image.manifest, context)).rejects.toBe(failure);
    gate.resolve();
    await expect(unpacker.wait()).rejects.toBe(failure);
    await unpacker.close();
    expect(harness.snapshotter.entries.size).toBe(0);
  });

  // S4.3: no schema 1 here: `fetchBlob` refuses it with what to do instead. Whoever walks one gets its layers, and no unpack.
  test("leaves the children of a schema 1 manifest in the walk, and unpacks nothing", async () => {
    const harness = new Harness({ rebase });
    const mediaType = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    const image = textImage(harness.content, texts);
    const manifest = { ...image.manifest, mediaType };
    expect(await harness.pull([harness.add({ ...image, manifest })])).toEqual([]);
    const digests = [manifest, ...image.children].map(({ digest }) => digest);
    expect(harness.walked.toSorted()).toEqual(digests.toSorted());
    expect(harness.fetched).toEqual([]);
    expect(harness.snapshotter.calls).toEqual([]);
  });

  // S4.8, S4.14b: containerd's first unpacker had a queue of 128, and stood still behind it
  test("takes any number of layers that are all there before the lowest one", async () => {
    const count = 300;
    const harness = new Harness({ rebase, fetchLimiter: createLimiter(count) });
    const image = harness.add(
      textImage(
        harness.content,
        Array.from({ length: count }, (_, at) => `+f${at}=1`),
      ),
    );
    const release = harness.hold(layerOf(image, 0));
    const pulling = harness.pull([image]);
    await harness.until(() => harness.content.blobs.size === count + 1);
    expect(harness.snapshotter.committed()).toEqual([]);
    release();
    const [result] = await pulling;
    expect(result?.chainId).toBe(image.chain.at(-1));
    expect(harness.snapshotter.committed()).toEqual(image.chain);
  });

  // C-UNP.5, C09: containerd measures chain IDs that are computed one by one and all at once
  test("five hundred layers take as many calls each as fifty", async () => {
    const perLayer: number[] = [];
    for (const count of [50, 500]) {
      const harness = new Harness({ rebase });
      const image = harness.add(
        textImage(
          harness.content,
          Array.from({ length: count }, (_, at) => `+f${at}=1`),
        ),
      );
      await harness.pull([image]);
      perLayer.push((harness.snapshotter.calls.length + harness.events.length) / count);
      expect(harness.snapshotter.committed()).toHaveLength(count);
    }
    expect(perLayer[1]).toBeLessThan((perLayer[0] ?? 0) * 1.1);
  });

  // S4.14c, G-33: each list stands under its own config
  test("images of two platforms on one base never get each other's layers", async () => {
    const harness = new Harness({ rebase });
    const amd64 = harness.add(textImage(harness.content, ["+base=1", "+amd=1"]));
    const s390x = harness.add(textImage(harness.content, ["+base=1", "+mainframe=1"], { architecture: "s390x" }));
    const results = await harness.pull([s390x, amd64]);
    expect(results.map(({ chainId }) => chainId)).toEqual([amd64.chain[1]]);
    expect(harness.snapshotter.tree(amd64.chain[1] ?? "")).toEqual({ amd: "1", base: "1" });
    expect(harness.snapshotter.committed()).toEqual(amd64.chain);
    expect(new Set(harness.fetched).size).toBe(3);
  });

  // S0.24
  test("gives snapshots further labels, which stand for none of its own", async () => {
    const harness = new Harness({ rebase });
    const image = harness.add(textImage(harness.content, texts));
    const snapshotLabels = {
      team: "a",
      "containerd.io/snapshot/diff-id": "forged",
      "containerd.io/snapshot/parent-chain-id": "forged",
    };
    await harness.pull([image], { platforms: [{ ...harness.platform, snapshotLabels }] });
    const labels = image.chain.map((chainId) => harness.snapshotter.entries.get(chainId)?.labels);
    expect(labels).toEqual(
      image.layers.map(({ diff }, at) => ({
        team: "a",
        "containerd.io/snapshot/diff-id": diff.digest,
        ...(at > 0 && { "containerd.io/snapshot/parent-chain-id": image.chain[at - 1] }),
      })),
    );
  });
});

// S4.4, U-UNP.1: before anything is asked for; what the client does with an unknown snapshotter is in its own tests
test("options that make no sense are refused when the unpacker is made", () => {
  const harness = new Harness();
  const make = (): unknown => createUnpacker({ platforms: [], fetch: harness.fetch, content: harness.content });
  expect(make).toThrow(expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" }));
  expect(harness.fetched).toEqual([]);
  expect(harness.walked).toEqual([]);
});
