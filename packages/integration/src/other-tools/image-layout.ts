import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { buffer } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import { pack } from "tar-stream";

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

/** A layer of one file and its directory, compressed. */
export async function layerOf(file: string, content: string | Buffer): Promise<StoredLayer> {
  const packer = pack();
  packer.entry({ name: `${dirname(file)}/`, type: "directory", mtime: new Date(0) });
  packer.entry({ name: file, mtime: new Date(0) }, content);
  packer.finalize();
  const tar = await buffer(packer);
  return { bytes: gzipSync(tar), mediaType: mediaTypes.ociLayerGzip, diffId: digestOf(tar) };
}
