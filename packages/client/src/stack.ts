import type { ContentStore } from "@varve/content";
import type { Differ } from "@varve/differ";
import type { KeyedLock, Limiter } from "@varve/locks";
import type { Metadata } from "@varve/metadata";
import type { Mounter } from "@varve/mount";
import type { Resolver } from "@varve/remotes";
import type { Lazy } from "./lazy.ts";
import type { SnapshotterSet } from "./snapshotter-set.ts";

/** The parts that one client is put together from. What is not always needed is loaded when it is. */
export interface Stack {
  readonly root: string;
  /** Below `metadata.content`, which adds labels; everything but `close` goes there. */
  readonly blobs: ContentStore;
  readonly metadata: Metadata;
  readonly mounter: Mounter;
  readonly differ: Lazy<Differ>;
  readonly snapshotters: SnapshotterSet;
  readonly resolver: Lazy<Resolver>;
  readonly defaultSnapshotter: string;
  /** Shared by all pulls of the client, so that no work is done twice. */
  readonly locks: KeyedLock;
  readonly fetchLimiter: Limiter;
  readonly unpackLimiter: Limiter;
  readonly parallelUnpack: boolean;
}
