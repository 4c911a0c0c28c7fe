import type { Follower, Provider } from "@varve/content";
import type { Applier } from "@varve/diff";
import type { Digest } from "@varve/digest";
import type { OnProgress } from "@varve/images";
import type { KeyedLock, Limiter } from "@varve/locks";
import type { Descriptor, Platform, PlatformMatcher } from "@varve/oci";
import type { Snapshotter } from "@varve/snapshots";
import type { FetchLayer } from "./download.ts";
import type { Logger } from "./logger.ts";

/** Where images of some platforms are unpacked to (U-UNP.1). */
export interface UnpackPlatform {
  /** Which images: the platform that their config names. */
  readonly matcher: PlatformMatcher;
  /** A `LayerPreparer` is asked for each layer before it is fetched: then layers are fetched and unpacked one after another. */
  readonly snapshotter: Snapshotter;
  /** Names the snapshotter in labels and lock keys. */
  readonly snapshotterName: string;
  readonly applier: Applier;
  /** Further labels of every snapshot. */
  readonly snapshotLabels?: Readonly<Record<string, string>> | undefined;
}

export interface UnpackerOptions {
  /** The first entry that matches an image takes it. At least one. */
  readonly platforms: readonly UnpackPlatform[];
  /** Fetches the layers, which the unpacker withholds from the walk. */
  readonly fetch: FetchLayer;
  /** Where configs are read. If it can follow, layers are unpacked while they download; if it can label, blobs get labels. */
  readonly content: Provider | (Provider & Follower);
  /**
   * Called once for each image, when it is known which of its layers have no snapshot, and before the first of them is fetched.
   * What it throws ends everything: for those who want to see first whether there is room.
   */
  readonly beforeLayers?: BeforeLayers | undefined;
  /** Unpack a layer while it downloads, if the store can. Default: true. */
  readonly followWhileFetching?: boolean | undefined;
  /** Unpack several layers at once, if snapshotter and applier can. Default: true. */
  readonly parallel?: boolean | undefined;
  /**
   * How many layers are fetched at once. Share it to bound several unpackers together, but not with the dispatch of the walk:
   * that would wait for blobs with its slot held. Default: 3.
   */
  readonly fetchLimiter?: Limiter | undefined;
  /** How many layers are applied at once. Default: the number of processors, at least 2 and at most 8. */
  readonly unpackLimiter?: Limiter | undefined;
  /** Share it so that the unpackers of a process never fetch a blob twice: the second waits, and finds it done. Default: its own. */
  readonly locks?: KeyedLock | undefined;
  /**
   * The same for layers, from the first look to the commit (U-UNP.7), such as one that processes share. Keys are
   * `sn://<snapshotter name>/<chain ID>`. That a lock is lost meanwhile does no harm: of two who unpack one layer the second to
   * commit finds it there. Default: `locks`.
   */
  readonly chainLocks?: KeyedLock | undefined;
  /** Stops everything at once, and leaves no active snapshot. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnProgress | undefined;
  readonly logger?: Logger | undefined;
}

/** Takes the layers that will be fetched and unpacked, the lowest first. */
export type BeforeLayers = (layers: readonly Descriptor[], options: { readonly signal: AbortSignal }) => Promise<void>;

/** What became of one layer. */
export interface UnpackedLayer {
  readonly digest: Digest;
  readonly diffId: Digest;
  readonly chainId: Digest;
  /** Bytes of the blob. */
  readonly size: number;
  /**
   * `exists`: nothing was unpacked. The snapshot was committed before, or by somebody else meanwhile, or the snapshotter is a
   * `LayerPreparer` and had the layer; then the blob may not be stored.
   */
  readonly status: "unpacked" | "exists";
}

/** What became of one image. */
export interface UnpackResult {
  /** The name of the top snapshot; empty for an image without layers. */
  readonly chainId: Digest | "";
  readonly manifest: Digest;
  readonly config: Digest;
  /** As the config names it, normalised. */
  readonly platform: Platform;
  readonly snapshotterName: string;
  /** The bottom first. */
  readonly layers: readonly UnpackedLayer[];
}
