import { chainIds, digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { labelUncompressed, readBlob } from "@varve/content";
import { labelDiffId } from "@varve/snapshots";
import type { Metadata, Namespace } from "@varve/metadata";
import type { Mount } from "@varve/mount";
import type { Descriptor } from "@varve/oci";
import type { StoredContent } from "./stored-content.ts";

const layerType = "application/vnd.oci.image.layer.v1.tar+gzip";
const configType = "application/vnd.oci.image.config.v1+json";
const manifestType = "application/vnd.oci.image.manifest.v1+json";
const indexType = "application/vnd.oci.image.index.v1+json";

type Store = Namespace<StoredContent>;

/** Writes the bytes of a layer to where its snapshot is mounted. */
export type Fill = (mounts: readonly Mount[], layer: Uint8Array) => Promise<void>;

/** What was stored of an image. */
export interface StoredImage {
  readonly name: string;
  readonly target: Descriptor;
  readonly manifest: Digest;
  readonly config: Digest;
  readonly layers: readonly Digest[];
  /** The names of the snapshots of its layers, bottom first. */
  readonly chain: readonly Digest[];
}

export async function store(
  { content }: Store,
  bytes: Uint8Array | string,
  mediaType: string,
  labels: Record<string, string> = {},
): Promise<Descriptor> {
  const descriptor = { mediaType, digest: digestOf(bytes), size: Buffer.byteLength(bytes) };
  try {
    const writer = await content.writer(descriptor.digest, { expected: descriptor });
    const rest = Buffer.from(bytes).subarray(writer.status().offset);
    // Another namespace may have them all.
    if (rest.byteLength > 0) await writer.write(rest);
    await writer.commit(descriptor, { labels });
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ERR_ALREADY_EXISTS")) throw error;
  }
  return descriptor;
}

/** As a pull does: blobs, snapshots that are missing, and the image record. */
export async function pull(
  metadata: Metadata<StoredContent>,
  name: string,
  layers: readonly string[],
  namespaceName = "default",
  fill: Fill = async () => {},
): Promise<StoredImage> {
  const namespace = metadata.namespace(namespaceName);
  const diffIds = layers.map((layer) => digestOf(`tar ${layer}`));
  const stored: Descriptor[] = [];
  for (const [at, layer] of layers.entries()) {
    stored.push(await store(namespace, layer, layerType, { [labelUncompressed]: diffIds[at] ?? "" }));
  }
  const config = await store(
    namespace,
    JSON.stringify({ architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: diffIds } }),
    configType,
  );
  const manifest = await store(
    namespace,
    JSON.stringify({ schemaVersion: 2, mediaType: manifestType, config, layers: stored }),
    manifestType,
  );
  const chain = chainIds(diffIds);
  await unpack(namespace, stored, diffIds, fill);
  await namespace.images.put({ name, target: manifest });
  return {
    name,
    target: manifest,
    manifest: manifest.digest,
    config: config.digest,
    layers: stored.map(({ digest }) => digest),
    chain,
  };
}

/** An index record over what was pulled, and over one more manifest that is not stored. */
export async function index(namespace: Store, name: string, manifests: readonly Descriptor[]): Promise<Descriptor> {
  const other = { mediaType: manifestType, digest: digestOf(`another manifest of ${name}`), size: 500 };
  const document = { schemaVersion: 2, mediaType: indexType, manifests: [...manifests, other] };
  const target = await store(namespace, JSON.stringify(document), indexType);
  await namespace.images.put({ name, target });
  return target;
}

/** From what is stored, layer by layer. */
async function unpack(
  namespace: Store,
  layers: readonly Descriptor[],
  diffIds: readonly Digest[],
  fill: Fill,
): Promise<void> {
  const snapshotter = await namespace.snapshotter("fake");
  let parent: string | undefined;
  for (const [at, name] of chainIds(diffIds).entries()) {
    const isThere = await snapshotter.stat(name).then(
      () => true,
      () => false,
    );
    const layer = layers[at];
    if (!isThere && layer !== undefined) {
      const labels = { [labelDiffId]: diffIds[at] ?? "" };
      const mounts = await snapshotter.prepare(`extract-${name}`, parent, { labels });
      await fill(mounts, await readBlob(namespace.content, layer));
      await snapshotter.commit(name, `extract-${name}`, { labels });
    }
    parent = name;
  }
}
