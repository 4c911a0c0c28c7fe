import type { Item } from "@varve/client";

/** `snapshot (overlay)`. */
export function itemType({ snapshotter, type }: Pick<Item, "snapshotter" | "type">): string {
  return snapshotter === undefined ? type : `${type} (${snapshotter})`;
}

/** `content sha256:…`. */
export function itemName(item: Pick<Item, "id" | "snapshotter" | "type">): string {
  return `${itemType(item)} ${item.id}`;
}
