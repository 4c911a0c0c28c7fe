import { CodedError } from "@varve/errors";
import { describe, expect, test } from "vitest";
import type { FakeIngest, TestImage, TestLayer } from "./fakes.ts";
import { layerOf, textImage } from "./fakes.ts";
import { Harness } from "./harness.ts";

/** A layer that arrives as the test says. */
class Arrival {
  readonly harness: Harness;
  readonly image: TestImage;
  readonly layer: TestLayer;
  ingest: FakeIngest | undefined;
  readonly #finish = Promise.withResolvers<void>();

  constructor(harness: Harness, ref = "layer-0") {
    this.harness = harness;
    this.image = harness.add(textImage(harness.content, ["+a=1\n+b=2"]));
    this.layer = layerOf(this.image, 0);
    harness.fetches.set(this.layer.blob.digest, async (_, { signal, onIngest }) => {
      this.ingest = harness.content.ingest(ref);
      onIngest(ref);
      const aborted = Promise.withResolvers<never>();
      signal.addEventListener("abort", () => aborted.reject(signal.reason), { once: true });
      await Promise.race([this.#finish.promise, aborted.promise]);
      harness.content.put(this.layer.bytes);
    });
  }

  async opened(): Promise<FakeIngest> {
    await this.harness.until(() => this.ingest !== undefined && this.harness.applier.running > 0);
    if (this.ingest === undefined) throw new Error("no ingest");
    return this.ingest;
  }
  finish(): void {
    this.#finish.resolve();
  }
  fail(error: Error): void {
    this.#finish.reject(error);
  }
}

describe.each([
  { mode: "sequential", rebase: false },
  { mode: "parallel", rebase: true },
])("a layer that is unpacked while it downloads, $mode", ({ rebase }) => {
  // D2
  test("is read from its first byte on, and committed when applied and verified", async () => {
    const arrival = new Arrival(new Harness({ rebase }));
    const { harness, layer } = arrival;
    const pulling = harness.pull([arrival.image]);
    const ingest = await arrival.opened();
    ingest.write(layer.bytes.subarray(0, 5));
    await harness.until(() => harness.applier.events.includes(`bytes ${layer.blob.digest} 5`));
    ingest.write(layer.bytes.subarray(5));
    ingest.end();
    await harness.until(() => harness.applier.applied.length === 1);
    await harness.settle();
    expect(harness.snapshotter.committed()).toEqual([]);
    arrival.finish();
    const [result] = await pulling;
    expect(result?.layers[0]?.status).toBe("unpacked");
    expect(harness.content.opened).not.toContain(layer.blob.digest);
    expect(harness.snapshotter.tree(layer.diff.digest)).toEqual({ a: "1", b: "2" });
  });

  test("is not committed when the blob is stored but not yet applied", async () => {
    const arrival = new Arrival(new Harness({ rebase }));
    const { harness, layer } = arrival;
    const pulling = harness.pull([arrival.image]);
    const ingest = await arrival.opened();
    arrival.finish();
    await harness.settle();
    expect(harness.snapshotter.committed()).toEqual([]);
    ingest.write(layer.bytes);
    ingest.end();
    await pulling;
    expect(harness.snapshotter.committed()).toEqual([layer.diff.digest]);
  });

  test("ends with the error of a download that breaks off, and leaves nothing", async () => {
    const arrival = new Arrival(new Harness({ rebase }));
    const { harness, layer } = arrival;
    const pulling = harness.pull([arrival.image]);
    const failure = pulling.catch((error: unknown) => error);
    (await arrival.opened()).write(layer.bytes.subarray(0, 5));
    await harness.settle();
    arrival.fail(new CodedError("ERR_NETWORK", "registry: gone"));
    expect(await failure).toMatchObject({ code: "ERR_NETWORK" });
    expect(harness.applier.running).toBe(0);
    expect(harness.snapshotter.entries.size).toBe(0);
  });

  test("ends at once when the caller aborts", async () => {
    const arrival = new Arrival(new Harness({ rebase }));
    const { harness } = arrival;
    const controller = new AbortController();
    const reason = new Error("enough");
    const pulling = harness.pull([arrival.image], { signal: controller.signal });
    const failure = pulling.catch((error: unknown) => error);
    await arrival.opened();
    controller.abort(reason);
    expect(await failure).toBe(reason);
    expect(harness.applier.running).toBe(0);
    expect(harness.fetching).toBe(0);
    expect(harness.snapshotter.entries.size).toBe(0);
  });

  test("is written again into another snapshot when the download has begun again", async () => {
    const arrival = new Arrival(new Harness({ rebase }));
    const { harness, layer } = arrival;
    const keys: string[] = [];
    harness.snapshotter.hooks.prepare = (key) => keys.push(key);
    const pulling = harness.pull([arrival.image]);
    const ingest = await arrival.opened();
    ingest.write(layer.bytes.subarray(0, 5));
    await harness.settle();
    ingest.truncate();
    await harness.settle();
    arrival.finish();
    const [result] = await pulling;
    expect(result?.layers[0]?.status).toBe("unpacked");
    expect(new Set(keys).size).toBe(2);
    expect(harness.snapshotter.active()).toEqual([]);
    expect(harness.snapshotter.tree(layer.diff.digest)).toEqual({ a: "1", b: "2" });
    expect(harness.events.map((event) => event.type)).toContain("retry");
  });

  test("is read from the store, into the same snapshot, when the ingest was gone before it could be opened", async () => {
    const harness = new Harness({ rebase });
    const arrival = new Arrival(harness);
    const keys: string[] = [];
    harness.snapshotter.hooks.prepare = (key) => keys.push(key);
    harness.fetches.set(arrival.layer.blob.digest, async (layer, { onIngest }) => {
      onIngest("no such ingest");
      harness.content.put(layer.bytes);
    });
    const [result] = await harness.pull([arrival.image]);
    expect(result?.layers[0]?.status).toBe("unpacked");
    expect(harness.content.opened).toContain(arrival.layer.blob.digest);
    expect(keys).toHaveLength(1);
    expect(harness.snapshotter.tree(arrival.layer.diff.digest)).toEqual({ a: "1", b: "2" });
  });

  test("is not blamed for bytes that the download finds to be wrong", async () => {
    const arrival = new Arrival(new Harness({ rebase }));
    const { harness } = arrival;
    const pulling = harness.pull([arrival.image]);
    const mismatch = new CodedError("ERR_DIGEST_MISMATCH", "content: other digest");
    const failure = pulling.catch((error: unknown) => error);
    const ingest = await arrival.opened();
    ingest.write(new TextEncoder().encode("<html>no such blob</html>"));
    ingest.end();
    await harness.until(() => harness.applier.running === 0);
    await harness.settle();
    arrival.fail(mismatch);
    expect(await failure).toMatchObject({ code: "ERR_DIGEST_MISMATCH", cause: mismatch });
    expect(harness.snapshotter.entries.size).toBe(0);
  });

  test("survives wrong bytes that the download has replaced", async () => {
    const arrival = new Arrival(new Harness({ rebase }));
    const { harness, layer } = arrival;
    const pulling = harness.pull([arrival.image]);
    const ingest = await arrival.opened();
    ingest.write(new TextEncoder().encode("torn tail"));
    ingest.end();
    await harness.until(() => harness.applier.running === 0);
    arrival.finish();
    await pulling;
    expect(harness.snapshotter.tree(layer.diff.digest)).toEqual({ a: "1", b: "2" });
  });

  test("is to blame when the verified bytes are malformed too", async () => {
    const harness = new Harness({ rebase });
    const image = harness.add(textImage(harness.content, ["+a=1"]));
    harness.applier.hook = () => {
      throw new CodedError("ERR_INVALID_DATA", "entry ../../etc/passwd: leaves the root");
    };
    harness.fetches.set(layerOf(image, 0).blob.digest, async (layer, { onIngest }) => {
      const ingest = harness.content.ingest("layer-0");
      onIngest("layer-0");
      ingest.write(layer.bytes);
      ingest.end();
      harness.content.put(layer.bytes);
    });
    await expect(harness.pull([image])).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
    expect(harness.snapshotter.entries.size).toBe(0);
  });

  test("waits for the store when following is turned off", async () => {
    const arrival = new Arrival(new Harness({ rebase, followWhileFetching: false }));
    const { harness } = arrival;
    const pulling = harness.pull([arrival.image]);
    await harness.until(() => arrival.ingest !== undefined);
    await harness.settle();
    expect(harness.applier.running).toBe(0);
    arrival.finish();
    await pulling;
    expect(harness.applier.applied).toHaveLength(1);
  });
});

test("a layer that was stored while it waited for its parent is written once, and is no retry", async () => {
  const harness = new Harness();
  const image = harness.add(textImage(harness.content, ["+a=1", "+b=2"]));
  const keys: string[] = [];
  harness.snapshotter.hooks.prepare = (key) => keys.push(key);
  const release = harness.hold(layerOf(image, 0));
  harness.fetches.set(layerOf(image, 1).blob.digest, async (layer, { onIngest }) => {
    onIngest("an ingest that ends with the transfer");
    harness.content.put(layer.bytes);
  });
  const pulling = harness.pull([image]);
  await harness.until(() => harness.fetched.length === 2);
  await harness.settle();
  release();
  await pulling;
  expect(keys).toHaveLength(2);
  expect(harness.events.map((event) => event.type)).not.toContain("retry");
});

// D3: what was written first is committed first, however the layers overlap
test("layers above are written while the lowest still downloads, and are committed after it", async () => {
  const harness = new Harness({ rebase: true });
  const image = harness.add(textImage(harness.content, ["+a=1", "-a\n+b=2", "~b=3"]));
  const release = harness.hold(layerOf(image, 0));
  const pulling = harness.pull([image]);
  await harness.until(() => harness.applier.applied.length === 2);
  expect(harness.snapshotter.committed()).toEqual([]);
  expect(harness.snapshotter.calls.filter((call) => call.startsWith("prepare"))).toEqual(
    image.chain.map((chainId) => `prepare ${chainId} on `),
  );
  release();
  await pulling;
  expect(harness.snapshotter.calls.filter((call) => /^(rebase|commit)/.test(call))).toEqual([
    `commit ${image.chain[0]}`,
    `rebase ${image.chain[1]} on ${image.chain[0]}`,
    `commit ${image.chain[1]}`,
    `rebase ${image.chain[2]} on ${image.chain[1]}`,
    `commit ${image.chain[2]}`,
  ]);
  expect(harness.snapshotter.tree(image.chain[2] ?? "")).toEqual({ b: "23" });
});
