import type { CallOptions } from "./layer-store.ts";

/**
 * Keeps snapshots from a garbage collector, by key or name, also before they are made: what leases do. With a holder the store
 * removes no committed snapshot by itself, for others may have come to stand on it; the collector does when nobody holds it.
 */
export interface SnapshotHolder {
  /** Holding twice is no error. */
  hold(snapshot: string, options?: CallOptions): Promise<void>;
  /** Releasing what is not held is no error. */
  release(snapshot: string, options?: CallOptions): Promise<void>;
  /**
   * All that it holds, of this store alone. Then a cleanup, and so the open, holds again what is not held any more, and releases
   * what a killed process held for something that never came to be.
   */
  held?(options?: CallOptions): AsyncIterable<string>;
}

/** Tells a directory on which somebody other than the store has mounted a snapshot; undefined if nobody has. */
export type MountedOn = (snapshot: string, options?: CallOptions) => Promise<string | undefined>;
