import type { ContentStore, Follower, Quarantiner } from "@varve/content";
import type { Differ } from "@varve/differ";
import type { KeyedLock, Limiter } from "@varve/locks";
import type { Metadata, Namespace } from "@varve/metadata";
import type { Mounter } from "@varve/mount";
import type { Resolver } from "@varve/remotes";
import type { Lazy } from "./lazy.ts";
import type { OpenedSnapshotters } from "./opened-snapshotters.ts";
import type { SnapshotterSet } from "./snapshotter-set.ts";

/** The store of bytes. */
export type Blobs = ContentStore & Follower & Quarantiner;

/** The parts that one client is put together from. What is not always needed is loaded when it is. */
export interface Stack {
  readonly root: string;
  /** Below the metadata, which knows what belongs to whom. */
  readonly blobs: Blobs;
  readonly metadata: Metadata<Blobs>;
  /** What everything here belongs to. */
  readonly namespace: Namespace<Blobs>;
  /** Of the namespace. */
  readonly opened: OpenedSnapshotters;
  readonly mounter: Mounter;
  readonly differ: Lazy<Differ>;
  /** Below the metadata, too. */
  readonly snapshotters: SnapshotterSet;
  readonly resolver: Lazy<Resolver>;
  readonly defaultSnapshotter: string;
  /** Shared by all pulls of the client, so that no work is done twice. */
  readonly locks: KeyedLock;
  readonly fetchLimiter: Limiter;
  readonly unpackLimiter: Limiter;
  readonly parallelUnpack: boolean;
}
