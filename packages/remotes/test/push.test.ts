import { digestOf } from "@varve/digest";
import type { ProgressEvent } from "@varve/images";
import { mediaTypes } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { pushHandler, pushImage } from "@varve/remotes";
import type { Pusher, PushOptions } from "@varve/remotes";
import { describe, expect, test } from "vitest";
import { FakeContent } from "./fake-content.ts";
import { fakePusher, readFrom } from "./fake-pusher.ts";
import type { FakePusher } from "./fake-pusher.ts";

/** Manifests take their time, so that the next one would overtake if it did not wait. */
async function slowly(body: PushOptions["body"], { mediaType }: Descriptor): Promise<Buffer> {
  if (mediaType === mediaTypes.ociManifest) await new Promise((resolve) => setTimeout(resolve, 10));
  return readFrom(body, 0);
}

function texts(pusher: FakePusher): string[] {
  return pusher.sent.map(({ bytes }) => bytes.toString());
}

/** An index of two manifests that share a layer; children are known without documents. */
function image(): { provider: FakeContent; index: Descriptor; children: (of: Descriptor) => Promise<Descriptor[]> } {
  const provider = new FakeContent();
  const add = (mediaType: string, text: string): Descriptor => {
    return { mediaType, digest: provider.add(Buffer.from(text)), size: text.length };
  };
  const shared = add(mediaTypes.ociLayerGzip, "shared");
  const m1 = add(mediaTypes.ociManifest, "m1");
  const m2 = add(mediaTypes.ociManifest, "m2");
  const inner = add(mediaTypes.ociIndex, "inner");
  const index = add(mediaTypes.ociIndex, "index");
  const tree = new Map([
    [index.digest, [m1, inner]],
    [inner.digest, [m2, m1]],
    [m1.digest, [add(mediaTypes.ociConfig, "c1"), shared]],
    [m2.digest, [add(mediaTypes.ociConfig, "c2"), shared]],
  ]);
  return { provider, index, children: async ({ digest }) => tree.get(digest) ?? [] };
}

describe("an image that is pushed", () => {
  // U-REM.3
  test("goes blobs first, then each manifest after what it names, the target last and under its tag", async () => {
    const { provider, index, children } = image();
    const pusher = fakePusher(slowly);
    await pushImage(index, { provider, pusher, children, tags: ["v1"], concurrency: 1 });
    const order = texts(pusher);
    expect(order.slice(0, 3).toSorted()).toEqual(["c1", "c2", "shared"]);
    expect(order.indexOf("inner")).toBeGreaterThan(Math.max(order.indexOf("m1"), order.indexOf("m2")));
    expect(pusher.sent.at(-1)).toMatchObject({ descriptor: index, tags: ["v1"] });
    expect(pusher.sent.slice(0, -1).every(({ tags }) => tags === undefined)).toBe(true);
    expect(order).toHaveLength(7);
  });

  // P12
  test("sends nothing that the other side has", async () => {
    const { provider, index, children } = image();
    const pusher = fakePusher();
    const first = await pushImage(index, { provider, pusher, children });
    const events: ProgressEvent[] = [];
    const onProgress = (event: ProgressEvent): void => void events.push(event);
    const second = await pushImage(index, { provider, pusher, children, onProgress });
    expect(pusher.sent).toHaveLength(7);
    expect(first).toEqual({ existed: 0, mounted: 0, sent: 7, sentBytes: "shared+m1+m2+inner+index+c1+c2".length - 6 });
    expect(second).toEqual({ existed: 7, mounted: 0, sent: 0, sentBytes: 0 });
    expect(events).toHaveLength(7);
    expect(events.every((event) => event.type === "pushed" && event.how === "exists")).toBe(true);
  });

  test("ends with the first failure, and no manifest is sent after a blob failed", async () => {
    const { provider, index, children } = image();
    const failure = new Error("no");
    const pusher = fakePusher();
    const failing: Pusher = {
      push: async (descriptor, options) => {
        if (descriptor.digest === digestOf("shared")) throw failure;
        return pusher.push(descriptor, options);
      },
    };
    await expect(pushImage(index, { provider, pusher: failing, children })).rejects.toBe(failure);
    expect(texts(pusher).every((text) => text.startsWith("c"))).toBe(true);
  });
});

// U-REM.4, C-REM.1
test("layers that registries may not hold are sent only when asked for", async () => {
  const provider = new FakeContent();
  const add = (mediaType: string, text: string): Descriptor => {
    return { mediaType, digest: provider.add(Buffer.from(text)), size: text.length };
  };
  const foreign = [mediaTypes.dockerForeignLayerGzip, mediaTypes.ociForeignLayer].map((type) => add(type, type));
  const manifest = add(mediaTypes.dockerManifest, "m");
  const children = async ({ digest }: Descriptor): Promise<Descriptor[]> => (digest === manifest.digest ? foreign : []);
  const [without, along] = [fakePusher(), fakePusher()];
  await pushImage(manifest, { provider, pusher: without, children });
  await pushImage(manifest, { provider, pusher: along, children, nonDistributable: true });
  expect([without.sent.length, along.sent.length]).toEqual([1, 3]);
});

// S3.14
test("the push handler sends one blob and names no children", async () => {
  const { provider } = image();
  const pusher = fakePusher();
  const handler = pushHandler({ provider, pusher });
  const descriptor = { mediaType: mediaTypes.ociLayer, digest: digestOf("shared"), size: 6 };
  expect(await handler(descriptor, { signal: new AbortController().signal })).toEqual([]);
  expect(texts(pusher)).toEqual(["shared"]);
});
