import type { LayerWriterOptions, SkipCounts } from "@varve/archive";
import type { DifferLimits } from "@varve/differ";
import type { Digest } from "@varve/digest";
import { existingDirectory } from "./existing-directory.ts";

export interface ApplyLayersOptions {
  /** Rejects with the signal's own reason; what was written so far stays. */
  readonly signal?: AbortSignal | undefined;
  /**
   * `keep` gives files the owners and devices of the layer, which takes root; `skip` leaves both out; `record` notes them in the
   * attribute `user.containers.override_stat` instead. Default: `keep` for root, `skip` for others.
   */
  readonly ownership?: LayerWriterOptions["ownership"];
  /** How ids of the layer become ids on disk; one that is not mapped is refused. Default: as they are. */
  readonly idMappings?: LayerWriterOptions["idMappings"];
  /** What goes beyond one of them is refused with its name. */
  readonly limits?: DifferLimits | undefined;
}

/** A layer, and what messages call it. */
export interface NamedLayer {
  readonly name: string;
  readonly bytes: AsyncIterable<Uint8Array>;
}

/** What one applied layer came to. */
export interface AppliedLayer {
  readonly diffId: Digest;
  /** Bytes of the uncompressed tar. */
  readonly size: number;
  /** Entries of the archive, whiteouts included. */
  readonly entries: number;
  /** What was left out. */
  readonly skipped: SkipCounts;
}

/**
 * Applies layers (tars, plain or compressed by gzip or zstd) to a directory, in place, the lowest first, in threads of its own.
 * No store is needed. A layer is asked for its first byte when those below it are applied.
 *
 * @throws ERR_NOT_FOUND, ERR_INVALID_ARGUMENT the directory is not there, or none
 * @throws ERR_INVALID_DATA a stream is malformed, or an entry is hostile
 * @throws ERR_RESOURCE_EXHAUSTED a limit was reached
 */
export async function applyLayers(
  layers: Iterable<AsyncIterable<Uint8Array> | NamedLayer>,
  directory: string,
  options: ApplyLayersOptions = {},
): Promise<AppliedLayer[]> {
  const { signal, ...writing } = options;
  const root = await existingDirectory(directory);
  const { createDiffer } = await import("@varve/differ");
  const differ = createDiffer({ ...writing, concurrency: 1 });
  try {
    const applied: AppliedLayer[] = [];
    for (const layer of layers) {
      const { bytes, name } = "bytes" in layer ? layer : { bytes: layer, name: undefined };
      const subject = name === undefined ? undefined : `layer ${name}`;
      const { digest, size, entries, skipped } = await differ.applyStream(bytes, root, { signal, subject });
      applied.push({ diffId: digest, size, entries, skipped });
    }
    return applied;
  } finally {
    await differ.close();
  }
}
