import type { Item } from "../item.ts";

/**
 * A type of things outside of the store that takes part in its garbage collection (U-GC.7). `containerd.io/gc.ref.<type>`
 * labels of blobs, images and snapshots refer to them, and leases of the type hold them.
 */
export interface CollectibleResource {
  /** Ends the label that refers to such a thing: letters, digits and dashes, and none of the types that varve has itself. */
  readonly type: string;
  /** All that exist. */
  all(): Iterable<Item> | Promise<Iterable<Item>>;
  /** Those that are roots. */
  active(): Iterable<Item> | Promise<Iterable<Item>>;
  /** What such a thing keeps. Default: nothing. */
  readonly references?: ((item: Item) => Iterable<Item>) | undefined;
  remove(item: Item): Promise<void>;
}
