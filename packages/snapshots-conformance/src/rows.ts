import type { SnapshotterNeed } from "./case.ts";
import { snapshotterCases } from "./cases.ts";

/** The ids of all rows of the specification that are tested for a snapshotter that lacks what `lacks` says; each once, sorted. */
export function coveredRows(lacks: readonly SnapshotterNeed[] = []): readonly string[] {
  const run = snapshotterCases.filter(({ needs }) => !needs.some((need) => lacks.includes(need)));
  return [...new Set(run.flatMap(({ rows }) => rows))].toSorted();
}
