import type { CallOptions, ContentStore, Labeler } from "@varve/content";
import type { ImageStore } from "@varve/images";
import type { LayerStore } from "@varve/layers";
import type { LeaseManager } from "@varve/leases";
import type {
  CheckOptions,
  CheckReport,
  CollectOptions,
  CollectReport,
  Explanation,
  Item,
  Namespace,
  NamespaceStore,
  RepairReport,
} from "@varve/metadata";
import type { Platform } from "@varve/oci";
import type { Snapshotter } from "@varve/snapshots";
import type { SnapshotLayers } from "./layers/snapshot-layers.ts";
import type { Registry } from "./open-registry.ts";
import type {
  ExportImagesOptions,
  FetchOptions,
  FetchResult,
  ImportedImage,
  ImportImagesOptions,
  PullOptions,
  PullResult,
  PushOptions,
  PushResult,
} from "./transfers.ts";

/** How many things there are, and how many bytes they take up on disk. */
export interface UsageEntry {
  readonly count: number;
  readonly bytes: number;
}

/** Where the disk space of a store is, over all namespaces. */
export interface StoreUsage {
  readonly content: UsageEntry;
  readonly ingests: UsageEntry;
  readonly quarantined: UsageEntry;
  /** By the name of the snapshotter. */
  readonly snapshots: Readonly<Record<string, UsageEntry>>;
  /** What a collection would free now. */
  readonly reclaimable: UsageEntry;
}

export interface SnapshotterOptions extends CallOptions {
  /** The name of one. Default: the client's. */
  readonly snapshotter?: string | undefined;
}

export interface MountSnapshotOptions extends SnapshotterOptions {
  /** Writes go to a snapshot that is thrown away at `unmount`, or to the active one. Default: false, the mount is read-only. */
  readonly writable?: boolean | undefined;
}

export interface MountOptions extends MountSnapshotOptions {
  readonly platform?: string | Platform | undefined;
}

export interface UnmountOptions extends CallOptions {
  /** Detach also while something is open below. Default: false. */
  readonly lazy?: boolean | undefined;
}

/** The stores of a client for the holder of a lease. */
export type HeldStores = Pick<Client, "content" | "images"> & Pick<Namespace, "snapshotter">;

/** A store of images on this machine, and what fills it. Several clients, in several processes, may use one root. */
export interface Client extends SnapshotLayers, AsyncDisposable {
  /** The directory where everything is kept, or the address of the containerd that keeps it. */
  readonly root: string;
  /** The namespace that everything here belongs to, where it says nothing else. */
  readonly namespace: string;
  readonly namespaces: NamespaceStore;
  /** Names and what they stand for. */
  readonly images: ImageStore;
  /** Manifests, configs and layers. */
  readonly content: ContentStore & Labeler;
  readonly leases: LeaseManager;
  /** The snapshotter that is used when a call names none. */
  readonly defaultSnapshotter: string;
  /**
   * Fetches an image and unpacks it. What is stored already is not fetched, what is unpacked already is not unpacked;
   * after a failure or an abort the next pull continues.
   *
   * @throws ERR_INVALID_ARGUMENT not a reference, not a platform, or no such snapshotter
   * @throws ERR_NOT_FOUND no such image, or none for the platform
   * @throws ERR_NOT_IMPLEMENTED an artifact, a Docker schema 1 image, or a snapshotter that cannot work here
   * @throws ERR_UNAUTHENTICATED, ERR_PERMISSION_DENIED, ERR_RATE_LIMITED, ERR_NETWORK the registry
   * @throws ERR_DIGEST_MISMATCH, ERR_INVALID_DATA the bytes
   */
  pull(reference: string, options?: PullOptions): Promise<PullResult>;
  /**
   * Fetches an image, and does not unpack it (G-39).
   *
   * @throws what `pull` throws
   */
  fetch(reference: string, options?: FetchOptions): Promise<FetchResult>;
  /**
   * The registry client of this store, with its credentials and mirrors: resolves names, lists tags and referrers, deletes. It is
   * closed with this client.
   *
   * @throws ERR_NOT_IMPLEMENTED the client was opened with a resolver that knows no repositories
   */
  registry(): Promise<Registry>;
  /**
   * Sends a stored image to a registry, what is missing there only. Blobs that came from another repository of the same registry
   * are mounted from there. What an earlier push left unfinished is continued where the registry can.
   *
   * @throws ERR_INVALID_ARGUMENT not a reference, or the destination is a digest
   * @throws ERR_NOT_FOUND no such image here, or a blob of it is not stored
   * @throws ERR_UNAUTHENTICATED, ERR_PERMISSION_DENIED, ERR_RATE_LIMITED, ERR_NETWORK the registry
   */
  push(name: string, options?: PushOptions): Promise<PushResult>;
  /**
   * Stores the images of an OCI image layout or of what `docker save` wrote: a directory, or the bytes of a tar, also compressed.
   * Digests of OCI images are unchanged; an image of the old docker format gets a manifest. Names appear when all of it is stored.
   *
   * @throws ERR_INVALID_ARGUMENT `name` is no reference, or cannot stand for what the archive has
   * @throws ERR_INVALID_DATA neither of the two, or broken
   * @throws ERR_DIGEST_MISMATCH a blob is not what its name says
   * @throws ERR_RESOURCE_EXHAUSTED more than `maxBytes`
   * @throws ERR_NOT_FOUND the directory holds no layout
   */
  import(source: string | AsyncIterable<Uint8Array>, options?: ImportImagesOptions): Promise<readonly ImportedImage[]>;
  /**
   * Yields the stored images as a tar: an OCI image layout that `docker load` reads as well. Abort and `close` also end it while
   * nobody reads; whoever reads on then gets the reason.
   *
   * @throws ERR_NOT_FOUND no such image, or a blob of it is not stored
   */
  export(names: readonly string[], options?: ExportImagesOptions): AsyncIterable<Uint8Array>;
  /** Writes the stored images into a directory as an OCI image layout, beside what such a layout there already has. */
  exportLayout(names: readonly string[], directory: string, options?: ExportImagesOptions): Promise<void>;
  /**
   * Mounts a pulled image on an existing directory. What a killed process has left of a mount there is replaced.
   *
   * @throws ERR_NOT_FOUND the directory does not exist, or the image is not in the store, or not unpacked
   * @throws ERR_ALREADY_EXISTS something is mounted there, by whomever
   * @throws ERR_PERMISSION_DENIED this process may not mount
   */
  mount(reference: string, directory: string, options?: MountOptions): Promise<void>;
  /**
   * Mounts a snapshot on an existing directory. On a committed one stands a new one that goes at `unmount`, as with images; an
   * active one or a view is mounted itself, and stays after `unmount`. It is not collected while it is mounted.
   *
   * @throws ERR_NOT_FOUND the directory or the snapshot does not exist
   * @throws ERR_FAILED_PRECONDITION a view is to be written to, or an active one that is mounted elsewhere
   * @throws ERR_ALREADY_EXISTS something is mounted there, by whomever
   * @throws ERR_PERMISSION_DENIED this process may not mount
   */
  mountSnapshot(key: string, directory: string, options?: MountSnapshotOptions): Promise<void>;
  /**
   * The directories on which snapshots are mounted now, by key: those that stand for a mount, and those that `mountSnapshot` has
   * mounted themselves. Who removes one takes its files away from under the mount, and who commits one leaves a way to change it.
   */
  mountPoints(options?: SnapshotterOptions): Promise<ReadonlyMap<string, readonly string[]>>;
  /**
   * Takes off what `mount` or `mountSnapshot` put on a directory, also if that was done by another process, and also what is
   * left of it when it was taken off by other means. What others have mounted there since stays.
   *
   * @throws ERR_NOT_FOUND nothing of this store is mounted there
   * @throws ERR_FAILED_PRECONDITION something else was mounted over it
   * @throws ERR_UNAVAILABLE the mount is busy
   */
  unmount(directory: string, options?: UnmountOptions): Promise<void>;
  /** Opens a snapshotter of this store, or gives the one that is open. Default: the client's. */
  snapshotter(name?: string): Promise<Snapshotter>;
  /**
   * Layers by chain ID, with the exact tar of each, beside the images and over the same snapshots, those of the client's
   * snapshotter: what both have is there once, and `gc` keeps what either needs. What is released goes with the next `gc`.
   * All who ask get the same one. It is closed with the client, if not before; whoever asks then gets another.
   */
  layerStore(): Promise<LayerStore>;
  /**
   * The stores for the holder of a lease: what is created through them, or found to exist, is added to the lease. The
   * operations of the client take leases of their own; this is for those who work on the stores themselves.
   */
  under(lease: string): HeldStores;
  /** Runs `work` with stores whose things no collector takes, until it has ended or this process is dead. */
  hold<T>(work: (stores: HeldStores) => Promise<T>, options?: CallOptions): Promise<T>;
  /**
   * Removes what nothing keeps, in all namespaces: images, leases and labels keep things, and so does every operation
   * that is under way, here or in another process.
   */
  gc(options?: CollectOptions): Promise<CollectReport>;
  /**
   * Tells why something is kept, or that it goes. The namespace is the client's if `item` names none.
   *
   * @throws ERR_NOT_FOUND no such thing
   */
  why(item: Omit<Item, "namespace"> & Partial<Pick<Item, "namespace">>, options?: CallOptions): Promise<Explanation>;
  /** Holds records, blobs and snapshots against each other, and every blob against its digest. Changes nothing. */
  check(options?: CheckOptions): Promise<CheckReport>;
  /** Quarantines what is damaged and drops what was made of it; a pull of the images that it names then mends them. */
  repair(options?: CheckOptions): Promise<RepairReport>;
  /** Where the disk space is. */
  usage(options?: CallOptions): Promise<StoreUsage>;
  /**
   * Aborts what still runs, ends worker threads and connections, and closes the stores. Closing twice is allowed.
   * Calls after it are refused with ERR_FAILED_PRECONDITION.
   */
  close(): Promise<void>;
}
