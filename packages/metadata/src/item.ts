/**
 * One thing that is kept or collected. `id` is a digest, an ingest ref, an image name, a lease id, the key or name of a
 * snapshot, or what a `CollectibleResource` calls its own.
 */
export interface Item {
  readonly namespace: string;
  /** `content`, `ingest`, `image`, `lease`, `snapshot`, or the type of a `CollectibleResource`. */
  readonly type: string;
  /** Of a snapshot: the name of its snapshotter. */
  readonly snapshotter?: string | undefined;
  readonly id: string;
}
