import type { Mount } from "@varve/mount";

/** One path that differs. An added directory is followed by all that is in it; a deleted one stands for what was in it. */
export interface TreeChange {
  readonly kind: "added" | "deleted" | "modified";
  /** From the root, without a slash at the start; empty for the root itself. The bytes of the name. */
  readonly path: Buffer;
}

/** Optional capability: tell what changed between two trees, with nothing stored anywhere. */
export interface ArchiveComparer {
  /**
   * Lists what `upper` shows differently from `lower`, in the order of the bytes of the names. Both trees must hold still
   * until the first change is given.
   *
   * @param lower no mounts at all stand for an empty tree
   */
  changes(
    lower: readonly Mount[],
    upper: readonly Mount[],
    options?: { readonly signal?: AbortSignal | undefined },
  ): AsyncIterable<TreeChange>;
  /**
   * The archive that `Comparer.compare` stores, not compressed: applied on top of `lower` it gives `upper`. A chunk is valid until
   * the next one is asked for. Both trees must hold still to the end.
   *
   * @param lower no mounts at all stand for an empty tree
   * @throws ERR_INVALID_DATA a tree holds what no layer can say: a name that starts with `.wh.`
   * @throws ERR_FAILED_PRECONDITION a tree changes meanwhile
   * @throws ERR_NOT_IMPLEMENTED an overlay turns out, on the way, to point into the trees below it
   */
  archiveChanges(
    lower: readonly Mount[],
    upper: readonly Mount[],
    options?: { readonly signal?: AbortSignal | undefined },
  ): AsyncGenerator<Uint8Array, void, undefined>;
}
