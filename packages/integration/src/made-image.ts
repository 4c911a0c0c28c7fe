import { randomBytes } from "node:crypto";
import { writeBlob } from "@varve/content";
import type { Ingester } from "@varve/content";
import { digestOf } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import type { Descriptor } from "@varve/oci";

/** An image in a content store, of layers that nobody else has. */
export interface MadeImage {
  readonly target: Descriptor;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

/** Stores bytes, and describes them. */
async function store(content: Ingester, mediaType: string, bytes: Uint8Array): Promise<Descriptor> {
  const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.byteLength };
  await writeBlob(content, `made-${descriptor.digest}`, bytes, { expected: descriptor });
  return descriptor;
}

/** Makes an image whose layers are of these sizes. They are no tars: nobody unpacks them. */
export async function makeImage(content: Ingester, sizes: readonly number[], fields: object = {}): Promise<MadeImage> {
  const layers: Descriptor[] = [];
  for (const size of sizes) layers.push(await store(content, mediaTypes.ociLayer, randomBytes(size)));
  const rootfs = { type: "layers", diff_ids: layers.map(({ digest }) => digest) };
  const config = await storeJson(content, mediaTypes.ociConfig, { architecture: "amd64", os: "linux", rootfs });
  const mediaType = mediaTypes.ociManifest;
  const target = await storeJson(content, mediaType, { schemaVersion: 2, mediaType, config, layers, ...fields });
  return { target, config, layers };
}

function storeJson(content: Ingester, mediaType: string, value: object): Promise<Descriptor> {
  return store(content, mediaType, Buffer.from(JSON.stringify(value)));
}
