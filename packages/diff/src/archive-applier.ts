import type { Digest } from "@varve/digest";
import type { Mount } from "@varve/mount";

export interface ApplyArchiveOptions {
  /** The file that takes the records of tar-split, compressed by gzip. What is there is replaced, and nothing is there after an error. */
  readonly records: string;
  /** What errors begin with. Default `layer`. */
  readonly subject?: string | undefined;
  /** Rejects with the signal's own reason; what was written so far stays in the mounts, to be thrown away. */
  readonly signal?: AbortSignal | undefined;
  /** Called with the bytes, as they were given, that were consumed so far. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

/** What an archive came to. */
export interface AppliedArchive {
  /** Of the uncompressed archive to its very end. */
  readonly diffId: Digest;
  /** Bytes of the uncompressed archive. */
  readonly size: number;
  /** Whiteouts included. */
  readonly entries: number;
  /** Bytes of all file contents. */
  readonly contentBytes: number;
  /** How often an entry may have taken a content of an earlier one out of the tree: it is in neither the tree nor the records then. */
  readonly replaced: number;
}

/** Optional capability: apply a layer of which nothing is known yet, and record what its files do not say. */
export interface ArchiveApplier {
  /**
   * Applies an archive, compressed or not, on top of what the mounts show. With the records and the files that were
   * written the archive can be made again, bit for bit.
   *
   * @param archive gives the bytes from the first one on, each time it is asked; a chunk may be overwritten when the next one is asked for
   * @throws ERR_INVALID_DATA the stream is malformed, or an entry is hostile
   */
  applyArchive(
    archive: () => AsyncIterable<Uint8Array>,
    mounts: readonly Mount[],
    options: ApplyArchiveOptions,
  ): Promise<AppliedArchive>;
}
