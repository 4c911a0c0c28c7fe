import { blocked, cpu, peak, rate, ratio, seconds } from "../sections/section.ts";
import type { Line, Section } from "../sections/section.ts";
import { median } from "../table.ts";

const cycles: Section = {
  title: "prepare, commit and remove an empty snapshot",
  columns: [
    seconds,
    cpu,
    { head: "a second", cell: (runs) => median(runs.map(rate)).toFixed(0) },
    ratio("CPU × in an empty store", (run, base) => run.cpuSeconds / base.cpuSeconds),
    blocked,
  ],
  lines: [
    { name: "overlay, 2,000, not synced", task: "overlay-cycles-unsynced", size: 2000 },
    {
      name: "overlay, 2,000, not synced, beside 10,000 others",
      task: "overlay-cycles-unsynced",
      size: 2000,
      before: ["overlay-fill"],
      base: "overlay, 2,000, not synced",
    },
    { name: "native, 2,000, not synced", task: "native-cycles-unsynced", size: 2000 },
    { name: "overlay, 200", task: "overlay-cycles", size: 200 },
  ],
};

const records: Section = {
  title: "a store of 10,000 snapshots",
  columns: [seconds, cpu, { head: "a second", cell: (runs) => median(runs.map(rate)).toFixed(0) }, blocked, peak],
  lines: [
    { name: "stat of each", task: "overlay-stat", size: 10_000, before: ["overlay-fill"] },
    { name: "walk", task: "overlay-walk", size: 10_000, continues: true },
    { name: "walk with a filter", task: "overlay-walk-filtered", size: 10_000, continues: true },
    { name: "check", task: "overlay-check", size: 10_000, continues: true },
  ],
};

const cp = "cp -a --reflink=auto";

const trees: readonly Line[] = [
  { name: cp, task: "copy-by-cp", size: 1, before: ["unpack-debian"] },
  { name: "first native prepare of a process", task: "copy-by-native", size: 1, before: ["unpack-debian"], base: cp },
  { name: "third", task: "copy-by-native-again", size: 1, before: ["unpack-debian"], base: cp },
];

/** What is done with snapshots that hold nothing. */
export const snapshotSections: readonly Section[] = [cycles, records];

/** What is done with a Debian root file system. */
export const treeSections: readonly Section[] = (["ext4", "xfs"] as const).map((filesystem) => ({
  title: `a copy of a Debian tree on ${filesystem}`,
  filesystem,
  columns: [seconds, cpu, ratio(`× ${cp}`, (run, base) => run.seconds / base.seconds), blocked, peak],
  lines: trees,
}));
