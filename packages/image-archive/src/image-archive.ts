import type { CallOptions, Ingester, IngestManager, Manager, Provider } from "@varve/content";
import type { Descriptor, PlatformMatcher } from "@varve/oci";

/** The store that images come into: blobs are looked up, written, read back and labelled. */
export type ImportStore = Ingester & IngestManager & Manager & Provider;

/** An image that an archive or a layout holds. */
export interface ArchivedImage {
  /** Its full references there, normalised. With `tags` both empty: it has no name. */
  readonly names: readonly string[];
  /** What an OCI layout calls it where that is no full reference, only a tag. */
  readonly tags: readonly string[];
  /** An index or a manifest. */
  readonly target: Descriptor;
}

/** An image to be written, and what it is called there. One `ArchivedImage` is also the other. */
export interface ImageToExport {
  readonly target: Descriptor;
  readonly names?: readonly string[] | undefined;
  readonly tags?: readonly string[] | undefined;
}

/** Told of a blob. It must not throw. */
export type OnBlob = (blob: Pick<Descriptor, "digest" | "size">) => void;

export interface ImportOptions extends CallOptions {
  readonly content: ImportStore;
  /** Told of each blob when it is stored, by this call or before. */
  readonly onBlob?: OnBlob | undefined;
  /**
   * Bytes that may be read, after decompression; the layers of Docker's own format, which are decompressed once more, may be as many
   * again. Default: no limit.
   */
  readonly maxBytes?: number | undefined;
  /** Entries that an archive may have, or blobs that a layout may name. Default: 100 000. */
  readonly maxEntries?: number | undefined;
}

export interface ExportOptions extends CallOptions {
  readonly provider: Provider;
  /**
   * Names what goes along of what a descriptor refers to; all of it must be stored then. Indexes keep their bytes, also those
   * whose images are left out. Default: what is stored, and of an index each image that is stored whole.
   */
  readonly children?:
    | ((descriptor: Descriptor, options: ChildrenOptions) => Promise<readonly Descriptor[]>)
    | undefined;
  /** Told of each blob when it is written. */
  readonly onBlob?: OnBlob | undefined;
}

export interface ChildrenOptions {
  readonly signal: AbortSignal;
}

export interface ExportArchiveOptions extends ExportOptions {
  /**
   * Also write `manifest.json`, which `docker load` reads; the blobs are there once. Images that Docker cannot load
   * (artifacts, indexes without an image for the platform) are left out of it. Default: true.
   */
  readonly dockerCompatible?: boolean | undefined;
  /** Which image of an index `manifest.json` names, if several go along. Default: that of this machine. */
  readonly platform?: PlatformMatcher | undefined;
}
