import type { Digest } from "@varve/digest";
import type { CallOptions, WalkOptions } from "./call-options.ts";

/** What a store knows of one blob. */
export interface BlobInfo {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  /** Empty in stores that keep no labels. */
  readonly labels: Readonly<Record<string, string>>;
}

/** Looks after stored blobs. */
export interface Manager {
  /** @throws ERR_NOT_FOUND no such blob */
  info(digest: Digest, options?: CallOptions): Promise<BlobInfo>;
  /**
   * All blobs, in no particular order. Blobs that come or go meanwhile may or may not be seen.
   * Filters know the fields `digest`, `size` (in bytes) and `labels.<name>` (U-LCS.5).
   */
  walk(options?: WalkOptions): AsyncIterable<BlobInfo>;
  /** @throws ERR_NOT_FOUND no such blob */
  delete(digest: Digest, options?: CallOptions): Promise<void>;
}

/** One label by name; `undefined` removes it. Labels not named stay as they are. */
export type LabelChanges = Readonly<Record<string, string | undefined>>;

export interface LabelOptions extends CallOptions {
  /** Removes the labels that are not named. Default: false. */
  readonly replace?: boolean | undefined;
}

/** Optional capability: labels on blobs. */
export interface Labeler {
  /**
   * Changes labels in one step and says what came of it. Key and value together hold at most 4096 bytes.
   *
   * @throws ERR_NOT_FOUND no such blob
   * @throws ERR_INVALID_ARGUMENT a label is too long
   */
  label(digest: Digest, changes: LabelChanges, options?: LabelOptions): Promise<BlobInfo>;
}

/** Whether `store` implements `Labeler`. */
export function canLabel<T extends object>(store: T): store is T & Labeler {
  return "label" in store && typeof store.label === "function";
}
