import type { ContentStore, Follower, Labeler, Quarantiner } from "@varve/content";
import type { ImageStore } from "@varve/images";
import type { LeaseManager } from "@varve/leases";
import type { Snapshotter } from "@varve/snapshots";
import type { CheckOptions, CheckReport, RepairReport } from "./check/report.ts";
import type { CollectOptions, CollectReport, Explanation } from "./gc/report.ts";
import type { CollectibleResource } from "./gc/resource.ts";
import type { Item } from "./item.ts";
import type { NamespaceStore } from "./namespace-store.ts";

/** The snapshotters below the metadata, opened when they are needed. They stay the caller's to close. */
export interface SnapshotBackends {
  /** The names of those that may hold snapshots: what is collected and checked. */
  used(): Promise<readonly string[]>;
  /** @throws ERR_INVALID_ARGUMENT there is none of that name */
  get(name: string): Promise<Snapshotter>;
}

export interface MetadataOptions<Content extends ContentStore = ContentStore> {
  /** The database file; it and its directory are made if they are missing. */
  readonly path: string;
  /** Where the blobs are. It stays the caller's to close. */
  readonly content: Content;
  /** Where the snapshots are. Default: there are none. */
  readonly snapshotters?: SnapshotBackends | undefined;
  /**
   * `shared` (default): a namespace that knows a blob's digest gets it without bringing its bytes, if another has it.
   * `isolated`: every namespace brings the bytes, except for blobs of namespaces with the label
   * `containerd.io/namespace.shareable=true` (U-MD.3, U-MD.4).
   */
  readonly sharing?: "shared" | "isolated" | undefined;
  /** Further types of things that are collected together with the store's. */
  readonly resources?: readonly CollectibleResource[] | undefined;
  /**
   * `full` (default): a change is on disk when it is acknowledged. `none`: it survives the end of the process, but maybe
   * not a power cut.
   */
  readonly durability?: "full" | "none" | undefined;
}

/** What one namespace has. Names, refs, keys, labels and leases of different namespaces have nothing to do with each other. */
export interface Namespace<Content extends ContentStore = ContentStore> {
  readonly name: string;
  readonly images: ImageStore;
  readonly leases: LeaseManager;
  /**
   * The blobs that this namespace knows, with labels. It can be followed if the wrapped store can. A blob that is deleted
   * here is freed by the next collection, if no other namespace knows it. A blob that is damaged can be quarantined if the
   * wrapped store can; one that proves to be whole stays, with ERR_FAILED_PRECONDITION, for others may rely on it.
   */
  readonly content: ContentStore &
    Labeler &
    (Content extends Follower ? Follower : object) &
    (Content extends Quarantiner ? Quarantiner : object);
  /**
   * The snapshots of this namespace. It has the capabilities of the snapshotter below. Closing it does nothing.
   *
   * @throws ERR_INVALID_ARGUMENT there is no snapshotter of that name
   */
  snapshotter(name: string): Promise<Snapshotter>;
  /**
   * The same namespace for the holder of a lease: every ingest, blob, image and snapshot that is created through it, or
   * found to exist already, is added to the lease in the same step.
   */
  under(lease: string): Namespace<Content>;
}

/**
 * The records of a store: who has what under which name, with which labels, and what keeps it. Every change is one
 * transaction; any number of processes may use one store at once.
 */
export interface Metadata<Content extends ContentStore = ContentStore> extends AsyncDisposable {
  readonly namespaces: NamespaceStore;
  /** @throws ERR_INVALID_ARGUMENT not a name */
  namespace(name: string): Namespace<Content>;
  /**
   * Removes what no root keeps, in every namespace and below: U-GC says what the roots and references are. Safe while
   * others work on the store, in this process and in others, provided that they hold leases or labels on what they need.
   */
  collect(options?: CollectOptions): Promise<CollectReport>;
  /**
   * Tells why the collector keeps a thing or takes it.
   *
   * @throws ERR_NOT_FOUND no such thing
   */
  why(item: Item, options?: Pick<CollectOptions, "signal" | "ingestAgeMs" | "ingestBytes">): Promise<Explanation>;
  /** Holds the records against what is stored. Changes nothing; safe while others work. */
  check(options?: CheckOptions): Promise<CheckReport>;
  /**
   * Does something about what `check` finds: quarantines damaged blobs, drops records of what is missing, and the
   * snapshots that were made of what is damaged or missing, so that pulling the images again mends them.
   */
  repair(options?: CheckOptions): Promise<RepairReport>;
  /** Closes the database, not what is below. Closing twice is allowed. */
  close(): Promise<void>;
}
