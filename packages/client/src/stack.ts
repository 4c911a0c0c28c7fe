import type { ContentStore, Follower, Ingester, Quarantiner } from "@varve/content";
import type { Comparer } from "@varve/diff";
import type { Differ } from "@varve/differ";
import type { KeyedLock, Limiter } from "@varve/locks";
import type { SharedLocks } from "@varve/locks-sqlite";
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
  /** For what is mounted for a moment. */
  readonly mountDirectory: string;
  readonly differ: Lazy<Differ>;
  /** One that stores layers where it is told, to be closed by whoever asks. */
  readonly openDiffer: (content: Ingester) => Promise<Comparer & Differ>;
  /** Below the metadata, too. */
  readonly snapshotters: SnapshotterSet;
  readonly resolver: Lazy<Resolver>;
  readonly defaultSnapshotter: string;
  /** Shared by all pulls of the client, so that no blob is fetched twice. */
  readonly locks: KeyedLock;
  /** Shared by all processes that unpack into this store. */
  readonly chainLocks: Lazy<SharedLocks>;
  readonly fetchLimiter: Limiter;
  readonly unpackLimiter: Limiter;
  readonly durability: "full" | "none";
  readonly parallelUnpack: boolean;
  readonly followWhileFetching: boolean;
}
