import { compileFilters, mapField } from "@varve/filters";
import type { IngestStatus } from "./ingester.ts";
import type { BlobInfo } from "./manager.ts";

/**
 * What `Manager.walk` lets through: for those who implement it (C-CH.29).
 *
 * @throws ERR_INVALID_ARGUMENT a filter cannot be read
 */
export function blobFilter(filters: readonly string[] | undefined): (info: BlobInfo) => boolean {
  return compileFilters<BlobInfo>(filters, (info, [field, ...rest]) => {
    if (field === "labels") return mapField(info.labels, rest);
    if (rest.length > 0) return undefined;
    if (field === "digest") return info.digest;
    return field === "size" ? String(info.size) : undefined;
  });
}

/**
 * What `IngestManager.statuses` lets through: for those who implement it (U-LCS.15).
 *
 * @throws ERR_INVALID_ARGUMENT a filter cannot be read
 */
export function ingestFilter(filters: readonly string[] | undefined): (status: IngestStatus) => boolean {
  return compileFilters<IngestStatus>(filters, ({ ref }, [field, ...rest]) =>
    field === "ref" && rest.length === 0 ? ref : undefined,
  );
}
