import type { ArchiveComparer } from "@varve/diff";
import { CodedError } from "@varve/errors";
import type { StoreParts } from "./store-parts.ts";

/** @throws ERR_NOT_IMPLEMENTED the store was opened without one */
export function comparerOf({ comparer }: StoreParts): ArchiveComparer {
  if (comparer !== undefined) return comparer;
  throw new CodedError("ERR_NOT_IMPLEMENTED", "layer store: cannot compare without a comparer");
}
