import type { Digest } from "@varve/digest";

export interface ApplyLayersOptions {
  /** Rejects with the signal's own reason; what was written so far stays. */
  readonly signal?: AbortSignal | undefined;
  /** `skip` leaves owners and devices out. Default: `keep` for root, `skip` for others. */
  readonly ownership?: "keep" | "skip" | undefined;
}

/** What one applied layer came to. */
export interface AppliedLayer {
  readonly diffId: Digest;
  /** Bytes of the uncompressed tar. */
  readonly size: number;
}

/**
 * Applies layers (tars, plain or compressed by gzip or zstd) to a directory, in place, the lowest first. No store is needed.
 * A layer is asked for its first byte when those below it are applied.
 *
 * @throws ERR_INVALID_DATA a stream is malformed, or an entry is hostile
 */
export async function applyLayers(
  layers: Iterable<AsyncIterable<Uint8Array>>,
  directory: string,
  options: ApplyLayersOptions = {},
): Promise<AppliedLayer[]> {
  const { ownership, signal } = options;
  const { createDiffer } = await import("@varve/differ");
  const differ = createDiffer({ ownership, concurrency: 1 });
  try {
    const applied: AppliedLayer[] = [];
    for (const layer of layers) {
      const { digest, size } = await differ.applyStream(layer, directory, { signal });
      applied.push({ diffId: digest, size });
    }
    return applied;
  } finally {
    await differ.close();
  }
}
