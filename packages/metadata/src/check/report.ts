import type { Digest } from "@varve/digest";
import type { Item } from "../item.ts";

export interface CheckOptions {
  readonly signal?: AbortSignal | undefined;
  /**
   * Reads and hashes every blob. Default: true; otherwise only sizes are compared. Snapshotters that can look at their
   * files do so either way.
   */
  readonly contents?: boolean | undefined;
  /** Told after each blob how many bytes of how many were read. It must not throw. */
  readonly onProgress?: ((progress: { readonly bytes: number; readonly total: number }) => void) | undefined;
}

/**
 * - `damaged`: the bytes of a blob do not have its digest or size; `actual` is what they have. Or the files of a snapshot
 *   are not those it was committed with, or something else stands in their place
 * - `missing`: a record without its blob, or without its snapshot, or a snapshot without its files
 * - `orphaned`: a blob, ingest or snapshot without a record
 * - `incomplete`: an image that needs `missing` blobs. Layers need none if a `LayerPreparer` has their snapshots
 */
export interface Problem {
  readonly kind: "damaged" | "missing" | "orphaned" | "incomplete";
  readonly item: Item;
  /** One sentence. */
  readonly message: string;
  /** What the bytes of a damaged blob hash to. */
  readonly actual?: Digest | undefined;
  /** Names of the images that need the item. */
  readonly images: readonly string[];
}

export interface CheckReport {
  /** What is wrong; nothing if the store is whole. */
  readonly problems: readonly Problem[];
  readonly blobs: number;
  readonly snapshots: number;
  readonly images: number;
  /** Read and hashed. */
  readonly bytes: number;
  readonly durationMs: number;
}

/** What was done about one problem. */
export interface Repair {
  readonly problem: Problem;
  /** One sentence: `quarantined as …`, `record removed`, `kept: pull docker.io/library/debian:12 again`. */
  readonly action: string;
  readonly done: boolean;
  /** Why it could not be done. */
  readonly error?: unknown;
}

export interface RepairReport {
  readonly repairs: readonly Repair[];
  /** Images that have to be pulled again. */
  readonly pullAgain: readonly string[];
}
