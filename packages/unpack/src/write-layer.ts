import { streamBlob } from "@varve/content";
import { hasCode } from "@varve/errors";
import type { StagedLayer } from "@varve/diff";
import { untilAborted } from "@varve/locks";
import { applyOnParent, stageAlone } from "./apply-to.ts";
import { prepareExtraction } from "./extraction.ts";
import type { Extraction } from "./extraction.ts";
import type { LayerContext } from "./layer-context.ts";
import type { ChainLayer } from "./layer.ts";

/** A layer whose bytes are in its active snapshot: verified by blob digest and diff ID, or put there by the snapshotter. */
export interface WrittenLayer {
  readonly extraction: Extraction;
  /** Absent when the layer was applied on top of its parent, or is there without us. */
  readonly staged: StagedLayer | undefined;
}

/**
 * Prepares a snapshot and writes the layer into it, while it downloads if that is possible. `undefined` when the layer
 * turned out to be there. After an error no active snapshot is left.
 *
 * @param onPrepared called when the snapshot is prepared or found
 */
export async function writeLayer(
  layer: ChainLayer,
  context: LayerContext,
  onPrepared: () => void,
): Promise<WrittenLayer | undefined> {
  let following = context.follower !== undefined;
  for (;;) {
    const parent = context.staging === undefined ? layer.parent : undefined;
    const extraction = await prepareExtraction(layer, parent, context);
    onPrepared();
    if (extraction === undefined) return undefined;
    if (extraction.isStaged) return { extraction, staged: undefined };
    try {
      const written = await fill(layer, extraction, context, following);
      if (written !== undefined) return written;
    } catch (error) {
      await extraction.discard();
      throw error;
    }
    // Never on top of a half tree: the next try has a snapshot of its own.
    await extraction.discard();
    following = false;
  }
}

async function fill(
  layer: ChainLayer,
  extraction: Extraction,
  context: LayerContext,
  following: boolean,
): Promise<WrittenLayer | undefined> {
  const { follower, signal } = context;
  const download = context.download();
  const ref = following ? await untilAborted(download.opened, signal) : undefined;
  // A layer that has waited for its parent may have been stored meanwhile.
  if (ref !== undefined && follower !== undefined && !download.stored) {
    return writeFollowing(layer, extraction, context, follower.follow(ref, { signal, reuse: true }));
  }
  await untilAborted(download.done, signal);
  return writeStored(layer, extraction, context);
}

/** Writes bytes that were verified once. If they are to blame now, either the image is, or the disk. */
async function writeStored(layer: ChainLayer, extraction: Extraction, context: LayerContext): Promise<WrittenLayer> {
  try {
    return await write(layer, extraction, context);
  } catch (error) {
    if (blamesBytes(error)) await mustBeSound(layer, context);
    throw error;
  }
}

/**
 * Reads the stored blob to its end, which finds out whether it is still what its digest says; if not, a store that can
 * quarantine it does, and the next pull fetches it again (F11).
 *
 * @throws ERR_DIGEST_MISMATCH the stored blob is damaged
 */
async function mustBeSound(layer: ChainLayer, { content, signal }: LayerContext): Promise<void> {
  for await (const chunk of streamBlob(content, layer.blob, { signal, reuse: true })) void chunk;
}

/** Writes bytes that nobody has verified yet. `undefined`: they were not the blob, try again when it is there. */
async function writeFollowing(
  layer: ChainLayer,
  extraction: Extraction,
  context: LayerContext,
  source: AsyncIterable<Uint8Array>,
): Promise<WrittenLayer | undefined> {
  const { signal } = context;
  const download = context.download();
  const watch = new LossWatch();
  try {
    const written = await write(layer, extraction, context, watch.over(source));
    await untilAborted(download.done, signal);
    return written;
  } catch (error) {
    signal.throwIfAborted();
    if (!watch.lost && !blamesBytes(error)) throw error;
    // The transfer may have begun again, or its bytes may be wrong, which it finds at its end: only verified bytes can
    // be blamed on the image. If the transfer fails, that is the reason.
    await untilAborted(download.done, signal);
    // It was stored before it could be followed: nothing has been written yet.
    if (watch.lost && !watch.seen) return writeStored(layer, extraction, context);
    const { blob: descriptor, chainId } = layer;
    if (watch.seen) context.onProgress?.({ type: "retry", descriptor, chainId, attempt: 2, error });
    return undefined;
  }
}

async function write(
  layer: ChainLayer,
  extraction: Extraction,
  context: LayerContext,
  source?: AsyncIterable<Uint8Array>,
): Promise<WrittenLayer> {
  const { applier, staging } = context;
  if (staging !== undefined) {
    return { extraction, staged: await stageAlone(layer, extraction, staging.applier, context, source) };
  }
  await applyOnParent(layer, extraction, applier, context, source);
  return { extraction, staged: undefined };
}

function blamesBytes(error: unknown): boolean {
  return hasCode(error, "ERR_INVALID_DATA") || hasCode(error, "ERR_DIGEST_MISMATCH") || hasCode(error, "ERR_DATA_LOSS");
}

/** Notices when a followed ingest goes away under its reader: truncated, aborted, or committed before it was opened. */
class LossWatch {
  lost = false;
  /** Whether bytes came before that. */
  seen = false;

  async *over(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for await (const chunk of source) {
        this.seen = true;
        yield chunk;
      }
    } catch (error) {
      this.lost = hasCode(error, "ERR_ABORTED") || hasCode(error, "ERR_NOT_FOUND");
      throw error;
    }
  }
}
