import type { ContentStore, Follower, Ingester, Quarantiner } from "@varve/content";
import type { Applier, Comparer } from "@varve/diff";
import type { Differ } from "@varve/differ";
import type { KeyedLock, Limiter } from "@varve/locks";
import type { Lease } from "@varve/leases";
import type { Namespace } from "@varve/metadata";
import type { Mounter } from "@varve/mount";
import type { Resolver } from "@varve/remotes";
import type { StoreDirectories } from "./directories.ts";
import type { Lazy } from "./lazy.ts";
import type { OpenedSnapshotters } from "./opened-snapshotters.ts";
import type { SnapshotterSet } from "./snapshotter-set.ts";
import type { Upkeep } from "./upkeep.ts";

/** The store of bytes below the metadata, which knows what belongs to whom. */
export type Blobs = ContentStore & Follower & Quarantiner;

/** The parts that one client is put together from. What is not always needed is loaded when it is. */
export interface Stack {
  /** The directory of the store, or the address of a containerd. */
  readonly root: string;
  /** Absent when somebody else keeps the store. */
  readonly directories: StoreDirectories | undefined;
  /** What everything here belongs to. */
  readonly namespace: Namespace;
  readonly upkeep: Upkeep;
  /** A lease that ends with this process. */
  readonly createLease: (signal: AbortSignal | undefined) => Promise<Lease>;
  /** Of the namespace. */
  readonly opened: OpenedSnapshotters;
  readonly mounter: Mounter;
  /** For what is mounted for a moment. */
  readonly mountDirectory: string;
  /** Applies what is pulled. */
  readonly applier: Lazy<Applier>;
  readonly differ: Lazy<Differ>;
  /** One that stores layers where it is told, to be closed by whoever asks. */
  readonly openDiffer: (content: Ingester) => Promise<Comparer & Differ>;
  readonly snapshotters: Pick<SnapshotterSet, "used">;
  readonly resolver: Lazy<Resolver>;
  /** What a registry is called in the labels that tell where a blob is from (U-REM.5). */
  readonly sourceHost: (domain: string) => string;
  readonly defaultSnapshotter: string;
  /** Shared by all pulls of the client, so that no blob is fetched twice. */
  readonly locks: KeyedLock;
  /** Shared by all who unpack into this store, as far as they can be known. */
  readonly chainLocks: Lazy<KeyedLock>;
  readonly fetchLimiter: Limiter;
  readonly unpackLimiter: Limiter;
  readonly durability: "full" | "none";
  readonly parallelUnpack: boolean;
  readonly followWhileFetching: boolean;
  /** Loads what unpacks. */
  readonly warmUp: () => Promise<void>;
  /** Closes everything that was opened for this client. */
  readonly close: () => Promise<void>;
}
