import { digestHex, digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { file } from "./tar-builder.ts";
import type { Spec } from "./tar-builder.ts";

/** An image with the bytes of all its blobs. */
export interface MadeImage {
  readonly target: Descriptor;
  readonly blobs: ReadonlyMap<Digest, Buffer>;
  readonly config: Buffer;
  readonly layers: readonly Buffer[];
}

export const imageName = "io.containerd.image.name";
export const refName = "org.opencontainers.image.ref.name";

export function configOf(layers: readonly Uint8Array[], architecture = "amd64"): Buffer {
  const rootfs = { type: "layers", diff_ids: layers.map((layer) => digestOf(layer)) };
  return Buffer.from(JSON.stringify({ architecture, os: "linux", config: {}, rootfs }));
}

/** An OCI image; layers are just bytes, since nobody unpacks them here. */
export function makeImage(texts: readonly string[], architecture = "amd64"): MadeImage {
  const layers = texts.map((text) => Buffer.from(text));
  const config = configOf(layers, architecture);
  const blobs = new Map<Digest, Buffer>();
  const add = (mediaType: string, bytes: Buffer): Descriptor => {
    const descriptor = descriptorOf(mediaType, bytes);
    blobs.set(descriptor.digest, bytes);
    return descriptor;
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: add(mediaTypes.ociConfig, config),
    layers: layers.map((layer) => add(mediaTypes.ociLayer, layer)),
  };
  // Spaces that no writer of ours would make: bytes must pass as they are.
  const target = add(mediaTypes.ociManifest, Buffer.from(JSON.stringify(manifest, undefined, 3)));
  return { target, blobs, config, layers };
}

/** An index of images, each under the platform of its place in the list. */
export function makeIndex(images: readonly MadeImage[], architectures: readonly string[]): MadeImage {
  const manifests = images.map(({ target }, at) => ({
    ...target,
    platform: { os: "linux", architecture: architectures[at] ?? "" },
  }));
  const bytes = json({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests });
  const target = descriptorOf(mediaTypes.ociIndex, bytes);
  const blobs = new Map(images.flatMap((image) => [...image.blobs]));
  return { target, blobs: blobs.set(target.digest, bytes), config: Buffer.alloc(0), layers: [] };
}

export function descriptorOf(mediaType: string, bytes: Uint8Array): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

export const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
export const blobPath = (digest: Digest): string => `blobs/${digest.replace(":", "/")}`;
export const blobEntries = (image: MadeImage): Spec[] =>
  Array.from(image.blobs, ([digest, bytes]) => file(blobPath(digest), bytes));
export const layoutEntry: Spec = file("oci-layout", '{"imageLayoutVersion":"1.0.0"}');

export function indexEntry(manifests: readonly object[]): Spec {
  return file("index.json", json({ schemaVersion: 2, manifests }));
}

export function named(target: Descriptor, name: string, tag: string): Descriptor {
  return { ...target, annotations: { [imageName]: name, [refName]: tag } };
}

/** As `docker save` wrote images from 1.10 to 24. */
export function classicEntries(image: Pick<MadeImage, "config" | "layers">, tags: readonly string[]): Spec[] {
  const configName = `${digestHex(digestOf(image.config))}.json`;
  const ids = image.layers.map((layer, at) => digestHex(digestOf(`${at} ${layer.toString()}`)));
  return [
    ...image.layers.flatMap((layer, at) => [
      file(`${ids[at]}/VERSION`, "1.0"),
      file(`${ids[at]}/json`, "{}"),
      file(`${ids[at]}/layer.tar`, layer),
    ]),
    file(configName, image.config),
    file(
      "manifest.json",
      json([
        { Config: configName, RepoTags: tags.length === 0 ? null : tags, Layers: ids.map((id) => `${id}/layer.tar`) },
      ]),
    ),
    file("repositories", "{}"),
  ];
}
