import type { ContentStoreNeed } from "./case.ts";
import { contentStoreCases } from "./cases.ts";

/** The ids of all rows of the specification that are tested for a store that lacks what `lacks` says; each once, sorted. */
export function coveredRows(lacks: readonly ContentStoreNeed[] = []): readonly string[] {
  const run = contentStoreCases.filter(({ needs }) => !needs.some((need) => lacks.includes(need)));
  return [...new Set(run.flatMap(({ rows }) => rows))].toSorted();
}
