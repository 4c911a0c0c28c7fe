import type { Digest } from "@varve/digest";
import type { CallOptions } from "./call-options.ts";

/** Bytes that were stored under a digest they do not have. */
export interface QuarantinedBlob {
  /** Names these bytes from now on: text without slashes. */
  readonly id: string;
  /** The digest they were stored under. */
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  readonly quarantinedAt: Date;
}

/** Optional capability: take damaged blobs away and keep their bytes. */
export interface Quarantiner {
  /**
   * Takes a blob out of the store, so that it is missing and can be written again. Readers that have it open are not
   * disturbed. Its bytes are kept for somebody to look at, until they are discarded.
   *
   * @throws ERR_NOT_FOUND no such blob
   */
  quarantine(digest: Digest, options?: CallOptions): Promise<QuarantinedBlob>;
  /** What has been taken away, in no particular order. */
  quarantined(options?: CallOptions): AsyncIterable<QuarantinedBlob>;
  /** Frees what `id` names. @throws ERR_NOT_FOUND no such thing */
  discard(id: string, options?: CallOptions): Promise<void>;
}

/** Whether `store` implements `Quarantiner`. */
export function canQuarantine<T extends object>(store: T): store is T & Quarantiner {
  return "quarantine" in store && typeof store.quarantine === "function";
}
