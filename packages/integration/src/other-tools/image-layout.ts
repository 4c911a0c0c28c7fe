import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { mediaTypes } from "@varve/oci";

/** One layer as it is stored. */
export interface StoredLayer {
  readonly bytes: Uint8Array;
  readonly mediaType: string;
  readonly diffId: Digest;
}

const architectures: Readonly<Record<string, string>> = { arm64: "arm64", x64: "amd64" };

/** Writes an OCI layout with one image, `latest`, of these layers; the lowest first. */
export async function writeLayout(layout: string, layers: readonly StoredLayer[]): Promise<string> {
  const blobs = join(layout, "blobs/sha256");
  await mkdir(blobs, { recursive: true });
  const store = async (mediaType: string, bytes: Uint8Array): Promise<object> => {
    const digest = digestOf(bytes);
    await writeFile(join(blobs, digest.slice("sha256:".length)), bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const json = (mediaType: string, value: object): Promise<object> =>
    store(mediaType, Buffer.from(JSON.stringify(value)));
  const config = await json(mediaTypes.ociConfig, {
    architecture: architectures[process.arch] ?? process.arch,
    os: "linux",
    config: {},
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
  });
  const stored: object[] = [];
  for (const { mediaType, bytes } of layers) stored.push(await store(mediaType, bytes));
  const manifest = await json(mediaTypes.ociManifest, {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config,
    layers: stored,
  });
  const annotations = { "org.opencontainers.image.ref.name": "latest" };
  await writeFile(join(layout, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  await writeFile(
    join(layout, "index.json"),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] }),
  );
  return `${layout}:latest`;
}
