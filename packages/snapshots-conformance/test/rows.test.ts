import { coveredRows, snapshotterCases } from "@varve/snapshots-conformance";
import type { SnapshotterNeed } from "@varve/snapshots-conformance";
import { expect, test } from "vitest";

/** What containerd lists as wanted and not written, in its order. */
const wanted = [
  "remove after commit",
  "unix domain sockets in layers",
  "directory inode stability",
  "open-file inode stability",
  "getcwd in a mount",
  "chmod visibility",
  "remove inside a walk",
];

/**
 * Rows on snapshotters that can be seen through the interface. Not there: S2.1 to S2.3, S2.15 and the other U-OVL.* on the
 * files and mount options of one snapshotter, U-SNX.1 to U-SNX.4 on others; U-MS.1 and U-MS.8 on the inside of a store.
 */
const rows = [
  ...numbered("C-SN.", 1, 21),
  ...wanted.map((_, index) => `C-SN.W${index + 1}`),
  ...numbered("C-MS.", 1, 15),
  ...numbered("U-SN.", 1, 9),
  ...numbered("U-MS.", 2, 7),
  ...numbered("S2.", 4, 14),
  "S2.16",
  "U-MD.13",
  "U-SNX.5",
  "U-SNX.6",
  "U-OVL.11",
  "F12",
  "G-13",
  "C04",
];

function numbered(prefix: string, first: number, last: number): string[] {
  return Array.from({ length: last - first + 1 }, (_, index) => `${prefix}${first + index}`);
}

function missing(lacks: readonly SnapshotterNeed[] = []): string[] {
  const covered = coveredRows(lacks);
  return rows.filter((row) => !covered.includes(row));
}

test("every row that concerns a snapshotter is covered", () => {
  expect(missing()).toEqual([]);
});

test("of a snapshotter without capabilities only the rows on them are not covered", () => {
  const lacks = ["cleanup", "check", "id-mapping", "rebase", "layers", "committed-layer", "staged-layer"] as const;
  expect(missing(lacks)).toEqual(["C-MS.15", "U-SN.9", "U-MS.5", "U-MD.13", "U-SNX.5", "U-OVL.11", "G-13"]);
});

test("with nothing but records the rows on trees are not covered", () => {
  const found = missing(["mount", "bind", "usage", "reopen", "directory-rename"]);
  expect(found).toEqual(expect.arrayContaining(["C-SN.4", "C-SN.10", "C-SN.12", "C-SN.20", "C-SN.21", "C04"]));
  expect(found).not.toContain("C-SN.8");
});

test("every case says which rows it tests, each once", () => {
  for (const { name, rows: own } of snapshotterCases) {
    expect(own.length, name).toBeGreaterThan(0);
    expect(new Set(own).size, name).toBe(own.length);
  }
  const covered = coveredRows();
  expect(covered).toEqual([...new Set(covered)].toSorted());
});
