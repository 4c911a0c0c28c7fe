import type { StagedLayer } from "@varve/diff";
import type { WaitCause } from "@varve/images";
import { untilAborted } from "@varve/locks";
import { failed, isCommitted } from "./extraction.ts";
import type { LayerContext, Staging } from "./layer-context.ts";
import type { ChainLayer } from "./layer.ts";
import { tracedLayer } from "./traces.ts";
import { writeLayer } from "./write-layer.ts";
import type { WrittenLayer } from "./write-layer.ts";

/** Whether a layer was unpacked here; otherwise it was there, or the snapshotter had it. */
export type LayerStatus = "unpacked" | "exists";

/** A layer under way. */
export interface LayerJob {
  readonly layer: ChainLayer;
  /** Resolves when the layer's snapshot is prepared, or found. */
  readonly prepared: Promise<void>;
  /** Resolves when the layer's snapshot is committed. After an error no active snapshot is left. */
  readonly committed: Promise<LayerStatus>;
}

/**
 * Unpacks one layer that seemed to be missing.
 *
 * The lock of its chain ID is held from the first look to the commit (U-UNP.7); the limiter's slot only while bytes are
 * applied, so that layers that wait for their turn to be committed keep nobody from working.
 *
 * @param below settles when the layer below is committed
 */
export function startLayer(layer: ChainLayer, below: Promise<unknown>, context: LayerContext): LayerJob {
  const prepared = Promise.withResolvers<void>();
  const key = `sn://${context.snapshotterName}/${layer.chainId}`;
  const work = (): Promise<LayerStatus> =>
    tracedLayer("layer", layer, () => unpackLayer(layer, below, context, prepared.resolve));
  const onWait = (): void => tellWait(layer, "other", "another unpack of the same layer", context);
  const committed = context.chainLocks.run(key, work, { signal: context.signal, onWait });
  committed.then(() => prepared.resolve(), prepared.reject);
  // Whoever waits for one of the two need not wait for the other.
  prepared.promise.catch(() => {});
  committed.catch(() => {});
  return { layer, prepared: prepared.promise, committed };
}

async function unpackLayer(
  layer: ChainLayer,
  below: Promise<unknown>,
  context: LayerContext,
  onPrepared: () => void,
): Promise<LayerStatus> {
  let status: LayerStatus = "exists";
  if (!(await isCommitted(layer, context))) {
    const { group, limiter, signal } = context;
    const onWait = (): void => tellWait(layer, "place", "a place to be unpacked", context);
    const written = await limiter.run(() => writeLayer(layer, context, onPrepared), { signal, group, onWait });
    if (written !== undefined) status = await commitLayer(layer, below, written, context);
  }
  const { chainId, blob: descriptor } = layer;
  context.onProgress?.(
    status === "unpacked"
      ? { type: "committed", descriptor, chainId }
      : { type: "exists", descriptor, what: "snapshot", chainId },
  );
  return status;
}

function tellWait({ blob, chainId }: ChainLayer, cause: WaitCause, reason: string, context: LayerContext): void {
  context.onProgress?.({ type: "waiting", descriptor: blob, chainId, for: cause, reason });
}

async function commitLayer(
  layer: ChainLayer,
  below: Promise<unknown>,
  written: WrittenLayer,
  context: LayerContext,
): Promise<LayerStatus> {
  try {
    await untilAborted(below, context.signal);
    const { staging } = context;
    if (staging !== undefined && written.staged !== undefined) {
      await settle(layer, written.extraction.key, written.staged, staging, context);
    }
    return await tracedLayer("commit", layer, () => written.extraction.commit());
  } catch (error) {
    await written.extraction.discard();
    throw error;
  }
}

/** Gives a layer that was written without its parent the parent, and answers what had to wait for it (D3). */
async function settle(
  layer: ChainLayer,
  key: string,
  staged: StagedLayer,
  staging: Staging,
  context: LayerContext,
): Promise<void> {
  const { signal } = context;
  const naming = async <T>(what: string, work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      throw failed(error, layer, what, context);
    }
  };
  // The bottom layer is never staged, so there is a parent.
  const rebased = staging.rebaser.rebase(key, layer.parent ?? "", { signal, volatile: true });
  const mounts = await naming(`failed to put the layer on snapshot ${layer.parent}`, rebased);
  // What is wrong with a layer is said in the same words, whether it is found with the layers below or without them.
  await naming(`failed to extract layer ${layer.diffId}`, staged.settle(mounts, { signal }));
}
