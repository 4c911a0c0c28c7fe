import type { Follower, Provider } from "@varve/content";
import type { Applier } from "@varve/diff";
import type { Digest } from "@varve/digest";
import type { OnProgress } from "@varve/images";
import type { KeyedLock, Limiter } from "@varve/locks";
import type { Platform, PlatformMatcher } from "@varve/oci";
import type { Snapshotter } from "@varve/snapshots";
import type { FetchLayer } from "./download.ts";
import type { Logger } from "./logger.ts";

/** Where images of some platforms are unpacked to (U-UNP.1). */
export interface UnpackPlatform {
  /** Which images: the platform that their config names. */
  readonly matcher: PlatformMatcher;
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
  /** Share it so that unpackers never do the same work twice: the second waits, and finds it done (U-UNP.7). */
  readonly locks?: KeyedLock | undefined;
  /** Stops everything at once, and leaves no active snapshot. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnProgress | undefined;
  readonly logger?: Logger | undefined;
}

/** What became of one layer. */
export interface UnpackedLayer {
  readonly digest: Digest;
  readonly diffId: Digest;
  readonly chainId: Digest;
  /** Bytes of the blob. */
  readonly size: number;
  /** `exists`: the snapshot was committed before, or by somebody else meanwhile. */
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
