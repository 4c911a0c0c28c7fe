import { compileFilters, mapField } from "@varve/filters";
import type { SnapshotInfo } from "./snapshotter.ts";

/**
 * What `Snapshotter.walk` lets through: for those who implement it (U-SN.7).
 *
 * @throws ERR_INVALID_ARGUMENT a filter cannot be read
 */
export function snapshotFilter(filters: readonly string[] | undefined): (info: SnapshotInfo) => boolean {
  return compileFilters<SnapshotInfo>(filters, (info, [field, ...rest]) => {
    if (field === "labels") return mapField(info.labels, rest);
    if (rest.length > 0) return undefined;
    if (field === "name") return info.name;
    if (field === "parent") return info.parent ?? "";
    return field === "kind" ? info.kind : undefined;
  });
}
