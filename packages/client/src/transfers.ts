import type { CallOptions } from "@varve/content";
import type { Digest } from "@varve/digest";
import type { OnProgress, TransferSummary } from "@varve/images";
import type { Descriptor, Platform } from "@varve/oci";

export interface PullOptions extends CallOptions {
  /** Which image of an index: `linux/arm64/v8` or the object. Default: the platform of this process. */
  readonly platform?: string | Platform | undefined;
  /** The name of the snapshotter to unpack into. Default: the client's. */
  readonly snapshotter?: string | undefined;
  /** Refuse an image that the disk cannot hold before the first byte of a layer is fetched. Default: false. */
  readonly checkSpace?: SpaceCheck | boolean | undefined;
  /** Takes events as they come; it must not throw. */
  readonly onProgress?: OnProgress | undefined;
}

/** How the space is estimated that an image takes. Nobody says beforehand how large layers are when they are unpacked. */
export interface SpaceCheck {
  /** How many times the size of a compressed layer its files take. Default: 3. */
  readonly ratio?: number | undefined;
  /** Bytes that are to stay free. Default: 0. */
  readonly reserve?: number | undefined;
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
  /** What was fetched, found and unpacked, how long each phase took, and what the whole waited for. */
  readonly summary: TransferSummary;
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

export interface PushOptions extends CallOptions {
  /** The reference to push to. Default: the image's own name. */
  readonly to?: string | undefined;
  /** Further tags of the same repository for it. */
  readonly tags?: readonly string[] | undefined;
  /** Of an index only the image for this platform, under its own manifest. Default: `all`, as it is. */
  readonly platform?: string | Platform | undefined;
  /** Whether layers that registries may not hold (foreign layers) are sent as well. Default: false. */
  readonly nonDistributable?: boolean | undefined;
  /** Takes events as they come; it must not throw. */
  readonly onProgress?: OnProgress | undefined;
}

export interface PushResult {
  /** The normalised reference that it was pushed to. */
  readonly name: string;
  readonly target: Pick<Descriptor, "mediaType" | "digest" | "size">;
  /** How many blobs and manifests the registry had, took from another repository, or was sent; and the bytes of the latter. */
  readonly existed: number;
  readonly mounted: number;
  readonly sent: number;
  readonly sentBytes: number;
  readonly durationMs: number;
}

export interface ImportImagesOptions extends CallOptions {
  /**
   * The name for what has none in the archive. Images that have only a tag there get the repository of this name, each with its own
   * tag; a single one gets exactly this name if it has a tag.
   */
  readonly name?: string | undefined;
  /** Bytes that may be read, after decompression. Default: no limit but the disk. */
  readonly maxBytes?: number | undefined;
  /** Takes events as they come; it must not throw. */
  readonly onProgress?: OnProgress | undefined;
}

export interface ImportedImage {
  /** The names of the image records; none for an image that has no name: nothing keeps it. */
  readonly names: readonly string[];
  readonly target: Pick<Descriptor, "mediaType" | "digest" | "size">;
}

export interface ExportImagesOptions extends CallOptions {
  /** Which images of an index go along. Default: `all` that are stored. */
  readonly platform?: string | Platform | undefined;
  /** Also write what `docker load` of any version reads. Default: true. For directories: false. */
  readonly dockerCompatible?: boolean | undefined;
}
