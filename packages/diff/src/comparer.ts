import type { Digest } from "@varve/digest";
import type { Mount } from "@varve/mount";
import type { Descriptor } from "@varve/oci";

export interface CompareOptions {
  /** Rejects with the signal's own reason; the ingest is given up, and nothing is stored. */
  readonly signal?: AbortSignal | undefined;
  /** Which kind of layer is written. Default `application/vnd.oci.image.layer.v1.tar+gzip`. */
  readonly mediaType?: string | undefined;
  /** How hard to compress: 1 to 9 for gzip (default 6), 1 to 19 for zstd (default 3). */
  readonly level?: number | undefined;
  /** Name of the ingest. Bytes that an earlier try left under it are dropped (U-DIFF.9). Default: one that nobody has. */
  readonly ref?: string | undefined;
  /** Given to the blob, besides its diff ID (`containerd.io/uncompressed`). */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Seconds since 1970: files changed later than this get this time, so that a build can be repeated (SOURCE_DATE_EPOCH). */
  readonly sourceDateEpoch?: number | undefined;
  /** Called with the bytes of the uncompressed archive that were written so far. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

/** A layer that was made from two trees, and is in the content store now. */
export interface ComparedLayer {
  /** Media type, digest and size of the blob. */
  readonly descriptor: Descriptor;
  /** Digest of the uncompressed archive. */
  readonly diffId: Digest;
  /** Bytes of the uncompressed archive. */
  readonly size: number;
  /** Entries of the archive, whiteouts included. */
  readonly entries: number;
}

/** Makes layers of what changed between two trees. */
export interface Comparer {
  /**
   * Writes what `upper` shows differently from `lower` as a layer: applied on top of `lower` it gives `upper`, exactly. The
   * same trees always give the same bytes. Both trees must hold still meanwhile, and are only read.
   *
   * @param lower what the layer is made for; no mounts at all stand for an empty tree
   * @throws ERR_NOT_IMPLEMENTED the media type is none that can be written
   * @throws ERR_INVALID_DATA a tree holds what no layer can say: a name that starts with `.wh.`
   */
  compare(lower: readonly Mount[], upper: readonly Mount[], options?: CompareOptions): Promise<ComparedLayer>;
}
