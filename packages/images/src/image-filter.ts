import { compileFilters, mapField } from "@varve/filters";
import type { ImageRecord } from "./image-store.ts";

/**
 * What `ImageStore.list` lets through: for those who implement it (C-MD.8).
 *
 * @throws ERR_INVALID_ARGUMENT a filter cannot be read
 */
export function imageFilter(filters: readonly string[] | undefined): (image: ImageRecord) => boolean {
  return compileFilters<ImageRecord>(filters, ({ name, labels, target }, [field, ...rest]) => {
    if (field === "labels") return mapField(labels, rest);
    if (field === "annotations") return mapField(target.annotations ?? {}, rest);
    if (field === "name" && rest.length === 0) return name;
    if (field !== "target" || rest.length !== 1) return undefined;
    if (rest[0] === "digest") return target.digest;
    return rest[0] === "mediatype" ? target.mediaType : undefined;
  });
}
