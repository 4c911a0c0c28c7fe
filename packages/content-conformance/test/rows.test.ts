import { contentStoreCases, coveredRows } from "@varve/content-conformance";
import { expect, test } from "vitest";

/**
 * Rows of containerd's content suites that a store by itself can keep. The others are: C-NS.* of stores with namespaces;
 * C-LCS.1, C-LCS.2 and C-LCS.6 of the files of a store on disk; C-CH.5 to C-CH.18 of the helpers in `@varve/content`,
 * where they are tested.
 */
const rows = [
  ...numbered("C-CS.", 1, 12),
  "C-LCS.3",
  "C-LCS.4",
  "C-LCS.5",
  "C-LCS.7",
  ...numbered("C-CH.", 1, 4),
  ...numbered("C-CH.", 19, 29),
];

function numbered(prefix: string, first: number, last: number): string[] {
  return Array.from({ length: last - first + 1 }, (_, index) => `${prefix}${first + index}`);
}

test("every row that concerns a store is covered", () => {
  const covered = coveredRows();
  expect(rows.filter((row) => !covered.includes(row))).toEqual([]);
});

test("of a store without optional capabilities only the row on labels is not covered", () => {
  const covered = coveredRows(["follow", "labels", "quarantine", "reopen", "takeover"]);
  expect(rows.filter((row) => !covered.includes(row))).toEqual(["C-CS.11"]);
});

test("every case says which rows it tests, each once", () => {
  for (const { name, rows: own } of contentStoreCases) {
    expect(own.length, name).toBeGreaterThan(0);
    expect(new Set(own).size, name).toBe(own.length);
  }
  const covered = coveredRows();
  expect(covered).toEqual([...new Set(covered)].toSorted());
});
