import { labelGcRefContent } from "@varve/content";
import { digestOf } from "@varve/digest";
import { childrenHandler, dispatch, handlers } from "@varve/images";
import { mediaTypes } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { fetchHandler, labelChildrenHandler, refKey } from "@varve/remotes";
import type { Fetcher } from "@varve/remotes";
import { describe, expect, test } from "vitest";
import { FakeContent } from "./fake-content.ts";

const config = Buffer.from("{}");
const layer = Buffer.from("a layer");
const configDescriptor = descriptorOf(mediaTypes.ociConfig, config);
const layerDescriptor = descriptorOf(mediaTypes.ociLayer, layer);
const document = {
  schemaVersion: 2,
  mediaType: mediaTypes.ociManifest,
  config: configDescriptor,
  layers: [layerDescriptor],
};
const manifest = Buffer.from(JSON.stringify(document));
const labels = {
  [`${labelGcRefContent}.config`]: configDescriptor.digest,
  [`${labelGcRefContent}.l.0`]: layerDescriptor.digest,
};

function descriptorOf(mediaType: string, bytes: Uint8Array): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.byteLength };
}

/** Has some blobs, and gives them in pieces of seven bytes. */
function fetcherOf(...blobs: readonly Buffer[]): Fetcher & { readonly asked: [string, number][] } {
  const asked: [string, number][] = [];
  return {
    asked,
    async *fetch({ digest }, { offset = 0 } = {}) {
      asked.push([digest, offset]);
      const bytes = blobs.find((blob) => digestOf(blob) === digest) ?? Buffer.alloc(0);
      for (let at = offset; at < bytes.byteLength; at += 7) yield bytes.subarray(at, at + 7);
    },
  };
}

async function fetchImage(content: FakeContent, root: Descriptor, fetcher: Fetcher): Promise<void> {
  const children = labelChildrenHandler(content, childrenHandler(content));
  await dispatch(handlers(fetchHandler({ content, fetcher }), children), [root]);
}

describe("an image that is fetched", () => {
  const root = descriptorOf(mediaTypes.ociManifest, manifest);

  // S3.9 in the form of S3.13
  test("brings its children along, and keeps them by labels", async () => {
    const content = new FakeContent();
    await fetchImage(content, root, fetcherOf(manifest, config, layer));
    expect([...content.blobs.keys()].toSorted()).toEqual(
      [root.digest, configDescriptor.digest, layerDescriptor.digest].toSorted(),
    );
    expect(content.labels.get(root.digest)).toEqual(labels);
  });

  // S3.10: images and leases hold what is needed, nothing says of itself that it is a root
  test("gets no label that makes it a root", async () => {
    const content = new FakeContent();
    await fetchImage(content, root, fetcherOf(manifest, config, layer));
    expect(Object.keys(content.labels.get(root.digest) ?? {})).not.toContain("containerd.io/gc.root");
  });

  // S3.12 c
  test("has the same labels when its manifest was half there", async () => {
    const content = new FakeContent();
    content.leave(refKey(root), manifest.subarray(0, 100));
    const fetcher = fetcherOf(manifest, config, layer);
    await fetchImage(content, root, fetcher);
    expect(fetcher.asked[0]).toEqual([root.digest, 100]);
    expect(content.labels.get(root.digest)).toEqual(labels);
  });

  // S3.12 d
  test("has them as well when everything was there already", async () => {
    const content = new FakeContent();
    for (const bytes of [manifest, config, layer]) content.add(bytes);
    const fetcher = fetcherOf();
    await fetchImage(content, root, fetcher);
    expect(fetcher.asked).toEqual([]);
    expect(content.labels.get(root.digest)).toEqual(labels);
  });
});

// The digest is right, so that only its reading can fail.
describe("a manifest that cannot be read", () => {
  // S3.11, S3.12 a and b: each came as a hang once
  test.each([
    ["breaks off in the middle", manifest.subarray(0, manifest.byteLength - 20)],
    ["breaks off at once", Buffer.from("{")],
    ["has bytes behind it", Buffer.concat([manifest, Buffer.alloc(100_000, "x")])],
    ["is followed by another", Buffer.concat([manifest, manifest])],
    ["is no JSON", Buffer.alloc(70_000)],
  ])("because it %s fails the pull, and labels nothing", async (_what, bytes) => {
    const content = new FakeContent();
    const root = descriptorOf(mediaTypes.ociManifest, bytes);
    const fetching = fetchImage(content, root, fetcherOf(bytes, config, layer));
    await expect(fetching).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
    expect([content.labels.size, content.openWriters, content.ingests.size, content.locked.size]).toEqual([0, 0, 0, 0]);
  });

  // White space at the end is part of many manifests.
  test("is not one that ends with white space", async () => {
    const content = new FakeContent();
    const bytes = Buffer.concat([manifest, Buffer.from(`\n${" ".repeat(100_000)}\n`)]);
    const root = descriptorOf(mediaTypes.ociManifest, bytes);
    await fetchImage(content, root, fetcherOf(bytes, config, layer));
    expect(content.labels.get(root.digest)).toEqual(labels);
  });
});
