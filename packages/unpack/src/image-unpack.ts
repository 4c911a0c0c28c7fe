import { canLabel, labelGcRefSnapshotPrefix, labelUncompressed, readBlob } from "@varve/content";
import { CodedError } from "@varve/errors";
import { configPlatform, normalizePlatform, parseImageConfig } from "@varve/oci";
import type { Descriptor, ImageConfig } from "@varve/oci";
import { Downloads } from "./download.ts";
import { unpackLayers } from "./image-run.ts";
import type { ImageRunOptions } from "./image-run.ts";
import { chainOf } from "./layer.ts";
import type { ChainLayer, Layer } from "./layer.ts";
import type { LayerStatus } from "./layer-job.ts";
import type { UnpackedLayer, UnpackerOptions, UnpackPlatform, UnpackResult } from "./options.ts";
import type { WithheldLayers } from "./withheld.ts";

/** How one image's unpack is run and ended. */
export type ImageContext = Omit<ImageRunOptions, "platform">;

/**
 * Unpacks one image whose config is stored: chooses where to, unpacks the layers, and labels what came of it.
 * `undefined`: no entry is for this image, so its layers were only fetched (U-UNP.6).
 */
export async function unpackImage(
  image: WithheldLayers,
  options: UnpackerOptions,
  context: ImageContext,
): Promise<UnpackResult | undefined> {
  const { signal } = context;
  const config = parseImageConfig(await readBlob(options.content, image.config, { signal }), image.config);
  const chain = chainFor(image, config);
  const platform = options.platforms.find((entry) => takes(entry, config));
  if (platform === undefined) {
    await fetchOnly(image.layers, context);
    return undefined;
  }
  const { layers } = image;
  context.onProgress?.({ type: "layers", layers, diffIds: chain.map((layer) => layer.diffId) });
  const statuses = await unpackLayers(chain, { ...context, platform });
  await label(image.config, chain, statuses, platform, options);
  return resultOf(image, config, chain, statuses, platform);
}

/** The layers under their two identities. The config's list and the manifest's must be of one length (U-UNP.5, S4.9). */
function chainFor(image: WithheldLayers, config: ImageConfig): ChainLayer[] {
  const { layers } = image;
  const diffIds = config.rootfs.diff_ids;
  if (layers.length !== diffIds.length) {
    throw new CodedError(
      "ERR_INVALID_DATA",
      `manifest ${image.manifest.digest}: ${layers.length} layers, but its config names ${diffIds.length} diff ids`,
    );
  }
  const pairs: Layer[] = [];
  for (const [index, blob] of layers.entries()) {
    const digest = diffIds[index];
    if (digest !== undefined) pairs.push({ blob, diff: { mediaType: blob.mediaType, digest, size: 0 } });
  }
  return chainOf(pairs);
}

function takes(entry: UnpackPlatform, config: ImageConfig): boolean {
  const { type } = config.rootfs;
  return (type === "layers" || type === "") && entry.matcher.matches(configPlatform(config));
}

/** Brings layers into the store that nobody unpacks here. */
async function fetchOnly(layers: readonly Descriptor[], context: ImageContext): Promise<void> {
  const { fetch, fetchLimiter: limiter, locks, onProgress, signal } = context;
  const downloads = new Downloads({ fetch, limiter, locks, onProgress, signal });
  const waiting = layers.map((layer) => downloads.start(layer).done);
  try {
    await Promise.all(waiting);
  } finally {
    await downloads.settled();
  }
}

/** S4.11, S4.12, U-UNP.18: what a blob unpacks to, and what the config keeps from being collected. */
async function label(
  config: Descriptor,
  chain: readonly ChainLayer[],
  statuses: readonly LayerStatus[],
  platform: UnpackPlatform,
  { content, signal }: UnpackerOptions,
): Promise<void> {
  if (!canLabel(content)) return;
  // At once, as a store can write what comes together in one step.
  const unpacked = chain.filter((layer) => statuses[layer.index] === "unpacked");
  const labelled = await Promise.allSettled(
    unpacked.map((layer) => content.label(layer.blob.digest, { [labelUncompressed]: layer.diffId }, { signal })),
  );
  for (const result of labelled) if (result.status === "rejected") throw result.reason;
  const top = chain.at(-1);
  if (top === undefined) return;
  await content.label(
    config.digest,
    { [labelGcRefSnapshotPrefix + platform.snapshotterName]: top.chainId },
    { signal },
  );
}

function resultOf(
  image: WithheldLayers,
  config: ImageConfig,
  chain: readonly ChainLayer[],
  statuses: readonly LayerStatus[],
  platform: UnpackPlatform,
): UnpackResult {
  const layers = chain.map(({ index, blob, diffId, chainId }): UnpackedLayer => {
    return { digest: blob.digest, size: blob.size, diffId, chainId, status: statuses[index] ?? "exists" };
  });
  return {
    chainId: chain.at(-1)?.chainId ?? "",
    manifest: image.manifest.digest,
    config: image.config.digest,
    platform: normalizePlatform(configPlatform(config)),
    snapshotterName: platform.snapshotterName,
    layers,
  };
}
