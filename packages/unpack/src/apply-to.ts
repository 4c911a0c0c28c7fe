import type { Applier, ApplyOptions, StagedLayer, StagingApplier } from "@varve/diff";
import type { OnProgress } from "@varve/images";
import { failed, verifyDiffId } from "./extraction.ts";
import type { Extraction, ExtractionContext } from "./extraction.ts";
import type { ChainLayer } from "./layer.ts";
import { tracedLayer } from "./traces.ts";

export interface ApplyContext extends ExtractionContext {
  readonly onProgress?: OnProgress | undefined;
}

/** Applies a layer to its snapshot on top of the layers below, and verifies the diff ID. */
export async function applyOnParent(
  layer: ChainLayer,
  extraction: Extraction,
  applier: Applier,
  context: ApplyContext,
  source?: AsyncIterable<Uint8Array>,
): Promise<void> {
  const options = applyOptions(layer, context, source);
  const applied = await naming(layer, context, () => applier.apply(layer.blob, extraction.mounts, options));
  verifyDiffId(layer, applied.digest);
  context.onProgress?.({ type: "applied", descriptor: layer.blob, chainId: layer.chainId });
}

/** Writes a layer into its snapshot, which has no parent yet, and verifies the diff ID. */
export async function stageAlone(
  layer: ChainLayer,
  extraction: Extraction,
  applier: StagingApplier,
  context: ApplyContext,
  source?: AsyncIterable<Uint8Array>,
): Promise<StagedLayer> {
  const options = applyOptions(layer, context, source);
  const staged = await naming(layer, context, () => applier.stage(layer.blob, extraction.mounts, options));
  verifyDiffId(layer, staged.descriptor.digest);
  context.onProgress?.({ type: "applied", descriptor: layer.blob, chainId: layer.chainId });
  return staged;
}

function applyOptions(layer: ChainLayer, context: ApplyContext, source?: AsyncIterable<Uint8Array>): ApplyOptions {
  const { signal, onProgress } = context;
  const { blob: descriptor, chainId } = layer;
  return { signal, source, onProgress: (bytes) => onProgress?.({ type: "applying", descriptor, chainId, bytes }) };
}

async function naming<T>(layer: ChainLayer, context: ApplyContext, work: () => Promise<T>): Promise<T> {
  try {
    return await tracedLayer("apply", layer, work);
  } catch (error) {
    throw failed(error, layer, `failed to extract layer ${layer.diffId}`, context);
  }
}
