import { labelOwner, labelTarget } from "@varve/snapshots";
import type { Labels } from "../labels.ts";

/** Whether a process unpacks a layer into the snapshot: it is worth nothing to anybody once that process has ended. */
export function isExtraction(labels: Labels): boolean {
  return labels[labelTarget] !== undefined && labels[labelOwner] !== undefined;
}
