import { gzipSync } from "node:zlib";
import type { ContentStore } from "@varve/content";
import { writeBlob } from "@varve/content";
import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { defaultPlatform, mediaTypes } from "@varve/oci";
import type { Descriptor, Platform } from "@varve/oci";
import { pack } from "tar-stream";

/** The files of one layer, by path. */
export type Files = Readonly<Record<string, string>>;

/** Stores an image of gzip layers, the lowest first, and gives its manifest. */
export async function putImage(
  content: ContentStore,
  layers: readonly Files[],
  { os, architecture, variant }: Platform = defaultPlatform(),
): Promise<Descriptor> {
  const packed = await Promise.all(layers.map((files) => putLayer(content, files)));
  const config = await putJson(content, mediaTypes.ociConfig, {
    os,
    architecture,
    variant,
    config: { Env: ["PATH=/bin"], Cmd: ["/bin/app"], Labels: { maintainer: "nobody" } },
    rootfs: { type: "layers", diff_ids: packed.map(({ diffId }) => diffId) },
  });
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config,
    layers: packed.map(({ descriptor }) => descriptor),
  };
  return putJson(content, mediaTypes.ociManifest, manifest);
}

/** Stores an index of images, each for its platform. */
export async function putIndex(
  content: ContentStore,
  images: readonly { readonly platform: Platform; readonly layers: readonly Files[] }[],
): Promise<Descriptor> {
  const manifests: Descriptor[] = [];
  for (const { layers, platform } of images) {
    manifests.push({ ...(await putImage(content, layers, platform)), platform });
  }
  return putJson(content, mediaTypes.ociIndex, { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests });
}

/** Stores a document. */
export async function putJson(content: ContentStore, mediaType: string, value: unknown): Promise<Descriptor> {
  return putBytes(content, mediaType, Buffer.from(JSON.stringify(value)));
}

/** Stores a blob. */
export async function putBytes(content: ContentStore, mediaType: string, bytes: Uint8Array): Promise<Descriptor> {
  const digest = digestOf(bytes);
  await writeBlob(content, `test-${digest}`, bytes, { expected: { digest, size: bytes.length } });
  return { mediaType, digest, size: bytes.length };
}

async function putLayer(
  content: ContentStore,
  files: Files,
): Promise<{ readonly descriptor: Descriptor; readonly diffId: Digest }> {
  const tar = pack();
  for (const [name, text] of Object.entries(files)) tar.entry({ name, mtime: new Date(0) }, text);
  tar.finalize();
  const bytes = Buffer.concat(await Array.fromAsync(tar as AsyncIterable<Uint8Array>));
  const descriptor = await putBytes(content, mediaTypes.ociLayerGzip, gzipSync(bytes));
  return { descriptor, diffId: digestOf(bytes) };
}
