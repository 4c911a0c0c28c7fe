import type { CallOptions, ContentStore, Labeler } from "@varve/content";
import type { Digest } from "@varve/digest";
import type { ImageStore, OnProgress } from "@varve/images";
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
import type { Descriptor, Platform } from "@varve/oci";
import type { Snapshotter } from "@varve/snapshots";

export interface PullOptions extends CallOptions {
  /** Which image of an index: `linux/arm64/v8` or the object. Default: the platform of this process. */
  readonly platform?: string | Platform | undefined;
  /** The name of the snapshotter to unpack into. Default: the client's. */
  readonly snapshotter?: string | undefined;
  /** Takes events as they come; it must not throw. */
  readonly onProgress?: OnProgress | undefined;
}

/** What became of one layer. */
export interface PulledLayer {
  /** Of the blob, as the registry has it. */
  readonly digest: Digest;
  /** Of the uncompressed tar. */
  readonly diffId: Digest;
  /** Names the snapshot of this layer on those below. */
  readonly chainId: Digest;
  /** Bytes of the blob. */
  readonly size: number;
  /** `exists`: the snapshot was there, and nothing was fetched or unpacked for it. */
  readonly status: "unpacked" | "exists";
}

export interface PullResult {
  /** The normalised reference, which is the name of the image record. */
  readonly name: string;
  /** What the name stands for: an index or a manifest. */
  readonly target: Pick<Descriptor, "mediaType" | "digest" | "size">;
  /** Of the image that was unpacked, as `os/architecture[/variant]`. */
  readonly platform: string;
  readonly snapshotter: string;
  /** The snapshot that holds the whole image; empty for an image without layers. */
  readonly chainId: Digest | "";
  /** The lowest first. */
  readonly layers: readonly PulledLayer[];
  readonly durationMs: number;
}

export interface FetchOptions extends CallOptions {
  /** Which image of an index, or `all`. Default: the platform of this process. */
  readonly platform?: string | Platform | undefined;
  /** Takes events as they come; it must not throw. */
  readonly onProgress?: OnProgress | undefined;
}

export interface FetchResult {
  /** The normalised reference, which is the name of the image record. */
  readonly name: string;
  readonly target: Pick<Descriptor, "mediaType" | "digest" | "size">;
  /** Blobs of the image that are stored now, and their bytes. */
  readonly blobs: number;
  readonly bytes: number;
  readonly durationMs: number;
}

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

export interface MountOptions extends CallOptions {
  readonly platform?: string | Platform | undefined;
  readonly snapshotter?: string | undefined;
  /** Writes go to a snapshot that is thrown away at `unmount`. Default: false, the mount is read-only. */
  readonly writable?: boolean | undefined;
}

export interface UnmountOptions extends CallOptions {
  /** Detach also while something is open below. Default: false. */
  readonly lazy?: boolean | undefined;
}

/** The stores of a client for the holder of a lease. */
export type HeldStores = Pick<Client, "content" | "images"> & Pick<Namespace, "snapshotter">;

/** A store of images on this machine, and what fills it. Several clients, in several processes, may use one root. */
export interface Client extends AsyncDisposable {
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
   * Mounts a pulled image on an existing directory. What a killed process has left of a mount there is replaced.
   *
   * @throws ERR_NOT_FOUND the directory does not exist, or the image is not in the store, or not unpacked
   * @throws ERR_ALREADY_EXISTS something is mounted there, by whomever
   * @throws ERR_PERMISSION_DENIED this process may not mount
   */
  mount(reference: string, directory: string, options?: MountOptions): Promise<void>;
  /**
   * Takes off what `mount` put on a directory, also if that was done by another process, and also what is left of it when
   * it was taken off by other means. What others have mounted there since stays.
   *
   * @throws ERR_NOT_FOUND nothing of this store is mounted there
   * @throws ERR_FAILED_PRECONDITION something else was mounted over it
   * @throws ERR_UNAVAILABLE the mount is busy
   */
  unmount(directory: string, options?: UnmountOptions): Promise<void>;
  /** Opens a snapshotter of this store, or gives the one that is open. Default: the client's. */
  snapshotter(name?: string): Promise<Snapshotter>;
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
