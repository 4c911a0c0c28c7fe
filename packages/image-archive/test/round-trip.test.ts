import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { mediaTypes } from "@varve/oci";
import {
  array,
  assert,
  asyncProperty,
  boolean,
  constantFrom,
  integer,
  record,
  uint8Array,
  uniqueArray,
} from "fast-check";
import { expect, test } from "vitest";
import { exportArchive, exportLayout, importArchive, importLayout } from "@varve/image-archive";
import type { ImageToExport } from "@varve/image-archive";
import { FakeStore } from "./fake-store.ts";
import { classicEntries, configOf } from "./images.ts";
import { gather, pieces, tar } from "./tar-builder.ts";

const layers = array(uint8Array({ maxLength: 3000 }), { maxLength: 4 });
const tags = uniqueArray(constantFrom("v1", "v2", "latest", "1.0-rc_1"), { maxLength: 3 });
const paths = uniqueArray(constantFrom("docker.io/library/app", "localhost:5000/a/b", "registry.example/x__y"), {
  maxLength: 2,
});
const anyImage = record({ layers, docker: boolean(), inIndex: boolean(), paths, tags });

interface AnyImage {
  readonly layers: readonly Uint8Array[];
  readonly docker: boolean;
  readonly inIndex: boolean;
  readonly paths: readonly string[];
  readonly tags: readonly string[];
}

function add(store: FakeStore, image: AnyImage, at: number): ImageToExport {
  const config = store.add(image.docker ? mediaTypes.dockerConfig : mediaTypes.ociConfig, configOf(image.layers));
  const mediaType = image.docker ? mediaTypes.dockerManifest : mediaTypes.ociManifest;
  const stored = image.layers.map((layer) =>
    store.add(image.docker ? mediaTypes.dockerLayer : mediaTypes.ociLayer, layer),
  );
  // The number makes images with the same layers different ones.
  const manifest = store.add(mediaType, { schemaVersion: 2, config, layers: stored, annotations: { at: `${at}` } });
  const target = image.inIndex ? store.add(mediaTypes.ociIndex, { schemaVersion: 2, manifests: [manifest] }) : manifest;
  const names = image.paths.flatMap((path) => image.tags.map((tag) => `${path}-${at}:${tag}`));
  return { target, names, tags: image.paths.length === 0 ? image.tags.map((tag) => `${tag}-${at}`) : [] };
}

function scene(images: readonly AnyImage[]): {
  readonly provider: FakeStore;
  readonly images: readonly ImageToExport[];
} {
  const provider = new FakeStore();
  return { provider, images: images.map((image, at) => add(provider, image, at)) };
}

// U-IMG.11 to U-IMG.13
test("any images come back from an archive as they were, however it is cut and compressed", async () => {
  const chunk = integer({ min: 1, max: 70_000 });
  const property = asyncProperty(array(anyImage, { maxLength: 4 }), chunk, boolean(), async (made, size, packed) => {
    const { images, provider } = scene(made);
    const bytes = await gather(exportArchive(images, { provider }));
    const content = new FakeStore();
    expect(await importArchive(pieces(packed ? gzipSync(bytes) : bytes, size), { content })).toEqual(images);
    expect(new Set(content.blobs.keys())).toEqual(new Set(provider.blobs.keys()));
    expect((await gather(exportArchive(images, { provider: content }))).equals(bytes)).toBe(true);
  });
  await assert(property, { numRuns: 60 });
});

test("any images come back from a layout as they were, wherever they were put into it", async () => {
  const property = asyncProperty(array(anyImage, { maxLength: 3 }), boolean(), async (made, oneByOne) => {
    const directory = await mkdtemp(join(tmpdir(), "varve-layout-"));
    try {
      const { images, provider } = scene(made);
      if (oneByOne) for (const image of images) await exportLayout([image], directory, { provider });
      if (!oneByOne || images.length === 0) await exportLayout(images, directory, { provider });
      const content = new FakeStore();
      expect(await importLayout(directory, { content })).toEqual(images);
      expect(content.blobs).toEqual(
        new Map([...content.blobs.keys()].map((digest) => [digest, provider.blobs.get(digest)])),
      );
      expect(content.blobs.size).toBe(provider.blobs.size);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
  await assert(property, { numRuns: 30 });
});

test("any image of docker save gives the same manifest each time, and its blobs", async () => {
  const property = asyncProperty(layers, async (made) => {
    const buffers = made.map((layer) => Buffer.from(layer));
    const bytes = tar(...classicEntries({ config: configOf(buffers), layers: buffers }, ["app:1"]));
    const [one, two] = [new FakeStore(), new FakeStore()];
    const images = await importArchive(pieces(bytes, 999), { content: one });
    expect(await importArchive(pieces(gzipSync(bytes), 77), { content: two })).toEqual(images);
    expect(new Set(one.blobs.keys())).toEqual(new Set(two.blobs.keys()));
    // From here on it is an image like any other.
    const archive = await gather(exportArchive(images, { provider: one }));
    expect(await importArchive(pieces(archive), { content: new FakeStore() })).toEqual(images);
  });
  await assert(property, { numRuns: 40 });
});
