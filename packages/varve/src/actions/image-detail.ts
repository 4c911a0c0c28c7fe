import { blobExists, labelGcRefSnapshotPrefix } from "@varve/content";
import type { Client } from "@varve/client";
import { chainIds } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { hasCode } from "@varve/errors";
import { manifestFor } from "@varve/images";
import type { ImageManifest, ImageRecord } from "@varve/images";
import type { Descriptor, ImageConfig, PlatformMatcher } from "@varve/oci";
import { formatPlatform } from "@varve/oci";

/** One layer of an image in the store. */
interface LayerDetail {
  readonly digest: Digest;
  readonly mediaType: string;
  /** Bytes of the blob. */
  readonly size: number;
  readonly diffId?: Digest | undefined;
  readonly chainId?: Digest | undefined;
  /** Whether the blob is in the store. */
  readonly stored: boolean;
}

/** What a name stands for on one platform, as far as it is in the store. */
export interface ImageDetail {
  readonly platform?: string | undefined;
  readonly manifest: Descriptor;
  readonly configDescriptor: Descriptor;
  /** Absent in artifacts. */
  readonly config?: ImageConfig | undefined;
  readonly layers: readonly LayerDetail[];
  /** Bytes of manifest, config and layers. */
  readonly size: number;
  /** By snapshotter: the snapshot that holds the whole image. */
  readonly snapshots: Readonly<Record<string, string>>;
}

/** @throws ERR_NOT_FOUND the manifest or the config is not in the store, or there is none for the platform */
export async function imageDetail(
  client: Client,
  image: ImageRecord,
  { matcher, signal }: { readonly matcher: PlatformMatcher; readonly signal: AbortSignal },
): Promise<ImageDetail> {
  const found = await manifestFor(client.content, image.target, matcher, { signal });
  const { config, descriptor, manifest, platform } = found;
  const layers = await layersOf(client, found, signal);
  const blobs = [descriptor, manifest.config, ...manifest.layers];
  return {
    platform: platform === undefined ? undefined : formatPlatform(platform),
    manifest: descriptor,
    configDescriptor: manifest.config,
    config,
    layers,
    size: blobs.reduce((sum, { size }) => sum + size, 0),
    snapshots: await snapshotsOf(client, found, signal),
  };
}

async function layersOf(
  { content }: Client,
  { config, manifest }: ImageManifest,
  signal: AbortSignal,
): Promise<LayerDetail[]> {
  const diffIds = config?.rootfs.diff_ids ?? [];
  const chain = chainIds(diffIds);
  const layers: LayerDetail[] = [];
  for (const [index, { digest, mediaType, size }] of manifest.layers.entries()) {
    const stored = await blobExists(content, digest, { signal });
    layers.push({ digest, mediaType, size, diffId: diffIds[index], chainId: chain[index], stored });
  }
  return layers;
}

/** The unpacker leaves on the config which snapshot it made, by which snapshotter: none has to be opened to find out. */
async function snapshotsOf(
  client: Client,
  { manifest }: ImageManifest,
  signal: AbortSignal,
): Promise<Record<string, string>> {
  const labels = await labelsOf(client, manifest.config.digest, signal);
  const snapshots: [string, string][] = [];
  for (const [label, name] of Object.entries(labels)) {
    if (!label.startsWith(labelGcRefSnapshotPrefix)) continue;
    const snapshotter = label.slice(labelGcRefSnapshotPrefix.length);
    if (await isSnapshot(client, { snapshotter, name }, signal)) snapshots.push([snapshotter, name]);
  }
  return Object.fromEntries(snapshots);
}

async function labelsOf({ content }: Client, digest: Digest, signal: AbortSignal): Promise<Record<string, string>> {
  try {
    return { ...(await content.info(digest, { signal })).labels };
  } catch (error) {
    if (hasCode(error, "ERR_NOT_FOUND")) return {};
    throw error;
  }
}

async function isSnapshot(
  client: Client,
  { snapshotter, name }: { readonly snapshotter: string; readonly name: string },
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await (await client.snapshotter(snapshotter)).stat(name, { signal });
    return true;
  } catch (error) {
    // A label can name what is gone, or a snapshotter of another program, or one that cannot work for this user.
    const isOurs = !["ERR_NOT_FOUND", "ERR_INVALID_ARGUMENT", "ERR_NOT_IMPLEMENTED"].some(
      (code) => error instanceof Error && "code" in error && error.code === code,
    );
    if (isOurs) throw error;
    return false;
  }
}
