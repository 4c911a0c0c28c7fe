import { createHash, randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { pack } from "tar-stream";

/** A small image that a registry has. */
export interface SmallImage {
  readonly reference: string;
  /** Manifest, config and layers. */
  readonly blobs: readonly Digest[];
}

/** Pushes `count` images that share their lower layers: image i stands on one of five bases, and on one of ten middles. */
export async function pushManyImages(host: string, count: number): Promise<SmallImage[]> {
  const layers = new Map<string, Promise<Layer>>();
  const layer = (name: string): Promise<Layer> => {
    const made = layers.get(name) ?? makeLayer(name);
    layers.set(name, made);
    return made;
  };
  const images: SmallImage[] = [];
  for (let index = 0; index < count; index += 1) {
    const stack = [`base-${index % 5}`, `middle-${index % 10}`, `top-${index}`];
    images.push(await pushImage(host, `many/${index}`, await Promise.all(stack.map(layer))));
  }
  return images;
}

/** Pushes one image of layers that nobody else has. */
export async function pushTallImage(host: string, repository: string, height: number): Promise<SmallImage> {
  const names = Array.from({ length: height }, (_, index) => `${repository}-${index}`);
  return pushImage(host, repository, await Promise.all(names.map(makeLayer)));
}

interface Layer {
  readonly bytes: Uint8Array;
  readonly diffId: Digest;
}

/** Some files that do not compress, so that a transfer takes a while. */
async function makeLayer(name: string): Promise<Layer> {
  const tar = pack();
  for (let file = 0; file < 8; file += 1) {
    tar.entry({ name: `${name}/${file}`, mode: 0o644, mtime: new Date(0) }, randomBytes(64 * 1024));
  }
  tar.finalize();
  const plain = Buffer.concat((await Array.fromAsync(tar)) as Buffer[]);
  return { bytes: gzipSync(plain, { level: 1 }), diffId: digestOf(plain) };
}

async function pushImage(host: string, repository: string, layers: readonly Layer[]): Promise<SmallImage> {
  const config = Buffer.from(
    JSON.stringify({
      architecture: process.arch === "x64" ? "amd64" : process.arch,
      os: "linux",
      rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
      // Tells apart the configs of images with the same layers.
      config: { Labels: { name: repository } },
    }),
  );
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: described(config, mediaTypes.ociConfig),
      layers: layers.map(({ bytes }) => described(bytes, mediaTypes.ociLayerGzip)),
    }),
  );
  for (const bytes of [config, ...layers.map((layer) => layer.bytes)]) await pushBlob(host, repository, bytes);
  const url = `http://${host}/v2/${repository}/manifests/latest`;
  await must(await fetch(url, { method: "PUT", headers: { "content-type": mediaTypes.ociManifest }, body: manifest }));
  const blobs = [manifest, config, ...layers.map(({ bytes }) => bytes)].map((bytes) => digestOf(bytes));
  return { reference: `${host}/${repository}:latest`, blobs };
}

function described(bytes: Uint8Array, mediaType: string): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.byteLength };
}

async function pushBlob(host: string, repository: string, bytes: Uint8Array): Promise<void> {
  const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  const started = await must(await fetch(`http://${host}/v2/${repository}/blobs/uploads/`, { method: "POST" }));
  const location = new URL(started.headers.get("location") ?? "", `http://${host}`);
  location.searchParams.set("digest", digest);
  const headers = { "content-type": "application/octet-stream" };
  await must(await fetch(location, { method: "PUT", headers, body: Buffer.from(bytes) }));
}

async function must(response: Response): Promise<Response> {
  if (!response.ok) throw new Error(`${response.url}: ${response.status} ${await response.text()}`);
  return response;
}
