import { compileFilters, mapField } from "@varve/filters";
import type { Lease } from "./lease-manager.ts";

/**
 * What `LeaseManager.list` lets through: for those who implement it (C-MD.7).
 *
 * @throws ERR_INVALID_ARGUMENT a filter cannot be read
 */
export function leaseFilter(filters: readonly string[] | undefined): (lease: Lease) => boolean {
  return compileFilters<Lease>(filters, ({ id, labels }, [field, ...rest]) => {
    if (field === "labels") return mapField(labels, rest);
    return field === "id" && rest.length === 0 ? id : undefined;
  });
}
