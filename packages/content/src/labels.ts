/** On a blob or snapshot, with any value: it is never collected, and what it refers to is kept (U-GC). */
export const labelGcRoot = "containerd.io/gc.root";

/**
 * On a blob, snapshot or image: keeps the blob whose digest is the value. Alone, or followed by `.<anything>` or
 * `/<anything>`, so that one object can hold several; a longer name without such a mark is no reference (U-GC).
 */
export const labelGcRefContent = "containerd.io/gc.ref.content";

/**
 * On a blob, snapshot or image: with the name of a snapshotter after it, keeps the snapshot that the value names.
 * `/<anything>` may follow; a dot may not, for it can be part of the name (U-GC).
 */
export const labelGcRefSnapshotPrefix = "containerd.io/gc.ref.snapshot.";

/** On a compressed layer: the digest of the same layer uncompressed, its diff ID. */
export const labelUncompressed = "containerd.io/uncompressed";

/** On a blob, with the host of a registry after it: the repositories there that have the blob, with commas between. */
export const labelDistributionSourcePrefix = "containerd.io/distribution.source.";

/** What every reference that keeps something begins with. The kind of what is kept follows: `content`, `image`, `snapshot.<name>` (U-GC). */
export const labelGcRefPrefix = "containerd.io/gc.ref.";

/** Begins a back reference: the object with this label is kept as long as the one that the value names (U-GC). */
export const labelGcBackRefPrefix = "containerd.io/gc.bref.";

/** Begins a condition of a reference: it counts only while the condition holds (U-GC). */
export const labelGcConditionPrefix = "containerd.io/gc.cond.";
