import type { Applier } from "@varve/diff";
import type { Digest } from "@varve/digest";
import type { OnProgress } from "@varve/images";
import type { Snapshotter } from "@varve/snapshots";
import { applyOnParent } from "./apply-to.ts";
import { isCommitted, prepareExtraction } from "./extraction.ts";
import type { ExtractionContext } from "./extraction.ts";
import { chainOf } from "./layer.ts";
import type { ChainLayer, Layer } from "./layer.ts";
import type { Logger } from "./logger.ts";
import { firstMissing } from "./plan.ts";
import { tracedLayer } from "./traces.ts";

export interface ApplyLayersOptions {
  readonly snapshotter: Snapshotter;
  /** Reads the layers' blobs from its own content store. */
  readonly applier: Applier;
  /** Rejects with the signal's own reason; the snapshot under way is removed, layers below stay committed. */
  readonly signal?: AbortSignal | undefined;
  /** Further labels of every snapshot. */
  readonly snapshotLabels?: Readonly<Record<string, string>> | undefined;
  readonly onProgress?: OnProgress | undefined;
  readonly logger?: Logger | undefined;
}

/**
 * Unpacks layers whose blobs are stored, one after the other, the first at the bottom, and gives the chain ID of them all:
 * the name of the top snapshot, or the empty string for no layers. Snapshots that are there are used as they are, and so is
 * what a `LayerPreparer` has: its blob is not read, and nothing of it verified.
 *
 * The first error ends it; layers below the failed one stay committed.
 */
export async function applyLayers(layers: readonly Layer[], options: ApplyLayersOptions): Promise<Digest | ""> {
  const chain = chainOf(layers);
  const missing = await firstMissing(chain, contextOf(options));
  for (const layer of chain.slice(0, missing)) reportFound(layer, options);
  for (const layer of chain.slice(missing)) await tracedLayer("layer", layer, () => applyOne(layer, options));
  return chain.at(-1)?.chainId ?? "";
}

/**
 * Unpacks one layer on top of the layers whose diff IDs are `below`, which must be committed. `false`: its snapshot was
 * there, at the first look or at the commit, or the snapshotter had the layer.
 *
 * Two callers that extract the same layer at once do the work twice; one commit wins, the other caller gets `false`.
 *
 * @throws ERR_DIGEST_MISMATCH the layer's bytes are not those of its diff ID; any other error of snapshotter or applier,
 *   with the layer in front and the error as its cause. The extraction's snapshot is removed after every error.
 */
export async function applyLayer(
  layer: Layer,
  below: readonly Digest[],
  options: ApplyLayersOptions,
): Promise<boolean> {
  const lower = below.map((digest) => ({ diff: { ...layer.diff, digest }, blob: layer.blob }));
  const placed = chainOf([...lower, layer]).at(-1);
  return placed !== undefined && tracedLayer("layer", placed, () => applyOne(placed, options));
}

async function applyOne(layer: ChainLayer, options: ApplyLayersOptions): Promise<boolean> {
  const context = contextOf(options);
  const extraction = (await isCommitted(layer, context))
    ? undefined
    : await prepareExtraction(layer, layer.parent, context);
  if (extraction === undefined) return reportFound(layer, options);
  try {
    if (!extraction.isStaged) {
      await applyOnParent(layer, extraction, options.applier, { ...context, onProgress: options.onProgress });
    }
    const status = await tracedLayer("commit", layer, () => extraction.commit());
    if (status === "exists") return reportFound(layer, options);
  } catch (error) {
    await extraction.discard();
    throw error;
  }
  options.onProgress?.({ type: "committed", descriptor: layer.blob, chainId: layer.chainId });
  return true;
}

function reportFound(layer: ChainLayer, options: ApplyLayersOptions): false {
  options.onProgress?.({ type: "exists", descriptor: layer.blob, what: "snapshot", chainId: layer.chainId });
  return false;
}

function contextOf(options: ApplyLayersOptions): ExtractionContext {
  const { snapshotter, signal, logger, snapshotLabels: labels } = options;
  return { snapshotter, signal, logger, labels };
}
