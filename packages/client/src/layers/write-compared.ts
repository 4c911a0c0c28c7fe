import { createBlobPipe } from "@varve/content";
import type { BlobPipe } from "@varve/content";
import type { ComparedLayer, Comparer } from "@varve/diff";
import type { Differ } from "@varve/differ";
import type { Mount } from "@varve/mount";
import { layerType } from "./layer-type.ts";
import type { WriteLayerOptions } from "./write-layer.ts";

/** Takes a layer as it is written, to its end. A chunk is valid until the next one is asked for. */
export type ConsumeLayer = (layer: AsyncIterable<Uint8Array>) => Promise<void>;

/** What is compared. */
export interface ComparedMounts {
  readonly lower: readonly Mount[];
  readonly upper: readonly Mount[];
}

/** Compares, and hands the layer on instead of storing it. The differ, which writes into the pipe, is closed then. */
export async function writeCompared(
  openDiffer: (pipe: BlobPipe) => Promise<Comparer & Pick<Differ, "close">>,
  { lower, upper }: ComparedMounts,
  consume: ConsumeLayer,
  options: WriteLayerOptions,
): Promise<ComparedLayer> {
  const { compression = "none", signal, level, onProgress, sourceDateEpoch } = options;
  signal?.throwIfAborted();
  const pipe = createBlobPipe("layer", "it must be stored first (createLayer)");
  const onAbort = (): void => pipe.fail(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  const differ = await openDiffer(pipe);
  try {
    const mediaType = layerType(compression);
    const making = differ.compare(lower, upper, { mediaType, signal, level, onProgress, sourceDateEpoch });
    return await passOn(making, pipe, consume);
  } finally {
    signal?.removeEventListener("abort", onAbort);
    await differ.close();
  }
}

async function passOn<T>(making: Promise<T>, pipe: BlobPipe, consume: ConsumeLayer): Promise<T> {
  const ending = making.then(
    () => pipe.end(),
    (error: unknown) => pipe.fail(error),
  );
  const consuming = (async () => {
    try {
      await consume(pipe.stream());
    } finally {
      pipe.leave();
    }
  })();
  const [made, consumed] = await Promise.allSettled([making, consuming, ending]);
  // When both have failed, the one is the echo of the other.
  if (made.status === "rejected" && !pipe.isLeft) throw made.reason;
  if (consumed.status === "rejected") throw consumed.reason;
  if (made.status === "rejected") throw made.reason;
  return made.value;
}
