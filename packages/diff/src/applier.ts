import type { Descriptor } from "@varve/oci";
import type { Mount } from "@varve/mount";

export interface ApplyOptions {
  /** Rejects with the signal's own reason; what was written so far stays in the mounts, to be thrown away. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Where the layer's bytes come from, when they are not (all) in the applier's content store yet: a followed ingest.
   * The applier reads to the end and verifies nothing but what it decompresses: whoever gives a source verifies the blob.
   * A chunk may be overwritten when the next one is asked for.
   */
  readonly source?: AsyncIterable<Uint8Array> | undefined;
  /** Called with the bytes of the blob (compressed) that were consumed so far. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

/** Applies layers to mounts. */
export interface Applier {
  /**
   * Applies one layer on top of what the mounts show and describes the uncompressed stream: its media type, size and digest.
   * That digest covers the whole stream, bytes after the end of the archive included; it is the layer's diff ID.
   * The caller compares it; nothing may be committed before that.
   *
   * @throws ERR_NOT_IMPLEMENTED no way to read this media type
   * @throws ERR_INVALID_DATA the stream is malformed, or an entry is hostile
   * @throws ERR_NOT_FOUND the blob is not in the store and no source was given
   */
  apply(layer: Descriptor, mounts: readonly Mount[], options?: ApplyOptions): Promise<Descriptor>;
}

/** A layer that was written before the layers below it were there. */
export interface StagedLayer {
  /** As `Applier.apply` returns it. */
  readonly descriptor: Descriptor;
  /**
   * Answers what only the lower layers could tell (attributes of directories the layer implies, hard links to lower files,
   * whiteouts of nothing), so that the tree is the one that `apply` makes.
   *
   * @param mounts the snapshot on top of its parent, as `Rebaser.rebase` gives them
   */
  settle(mounts: readonly Mount[], options?: { readonly signal?: AbortSignal | undefined }): Promise<void>;
}

/** Optional capability: apply a layer while the layers below it are still missing. */
export interface StagingApplier extends Applier {
  /**
   * Writes the layer into the directory that `mounts` bind, in the form of an overlay's upper directory.
   * `settle` must be called before the snapshot is committed.
   */
  stage(layer: Descriptor, mounts: readonly Mount[], options?: ApplyOptions): Promise<StagedLayer>;
}

/** Whether `applier` implements `StagingApplier`. */
export function canStage(applier: Applier): applier is StagingApplier {
  return "stage" in applier && typeof applier.stage === "function";
}
