import type { StreamOptions } from "./provider.ts";

/** Optional capability: read a blob while it is still being written. */
export interface Follower {
  /**
   * Yields the bytes of the ingest `ref` from the first one on, waits at the end for more, and ends when the ingest is committed.
   * The bytes are not verified until then. Any number of readers may follow one ingest and join late.
   * A reader keeps no bytes back: it reads what the writer stored, at its own pace.
   *
   * A writer that closes without a commit does not end the iteration: the next writer of the ref continues it.
   *
   * @throws ERR_NOT_FOUND no such ingest, before the first byte
   * @throws ERR_ABORTED the ingest was aborted or truncated
   */
  follow(ref: string, options?: StreamOptions): AsyncIterable<Uint8Array>;
}

/** Whether `store` implements `Follower`. */
export function canFollow<T extends object>(store: T): store is T & Follower {
  return "follow" in store && typeof store.follow === "function";
}
