import { isDigest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { LeaseResource } from "@varve/leases";
import type { Row } from "./database.ts";
import type { CollectibleResource } from "./gc/resource.ts";
import { textOf } from "./pages.ts";

/**
 * @throws ERR_INVALID_ARGUMENT the shape is wrong for the type (U-MD.10)
 * @throws ERR_NOT_IMPLEMENTED the type is neither one of the store nor one of `further`
 */
export function checkResource(lease: string, resource: LeaseResource, further: readonly CollectibleResource[]): void {
  const wrong = (why: string): CodedError => new CodedError("ERR_INVALID_ARGUMENT", `lease ${lease}: ${why}`);
  const { type, id } = resource;
  if (id === "") throw wrong(`a resource of type ${type} without an id`);
  switch (type) {
    case "content":
      if (!isDigest(id)) throw wrong(`content ${id}: not a digest`);
      return;
    case "ingest":
    case "image":
      return;
    case "snapshot":
      if (resource.snapshotter === "") throw wrong(`snapshot ${id}: no snapshotter is named`);
      return;
    default:
      if (further.some((each) => each.type === type)) return;
      throw new CodedError("ERR_NOT_IMPLEMENTED", `lease ${lease}: resources of type ${String(type)}`);
  }
}

export function resourceOf(row: Row): LeaseResource {
  const [type, id] = [textOf(row, "type"), textOf(row, "id")];
  if (type === "snapshot") return { type, snapshotter: textOf(row, "snapshotter"), id };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only types that were checked are stored; those of a CollectibleResource are named by its author
  return { type, id } as LeaseResource;
}
