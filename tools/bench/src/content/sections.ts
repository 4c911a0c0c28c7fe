import { cpu, blocked, peak, rate, ratio, seconds } from "../sections/section.ts";
import type { Line, Section } from "../sections/section.ts";
import { median } from "../table.ts";

const gibibyte = 2 ** 30;
const throughput = ratio("× rate of", (run, base) => rate(run) / rate(base));

/** One of the lines that write a stream. */
function stream(name: string, task: string, base: string | undefined, more: Partial<Line> = {}): Line {
  return { name, task, size: gibibyte, base, before: ["warm-memory"], ...more };
}

const hash = "sha256 of node:crypto";

const streams: Section = {
  title: "a stream of 1 GiB",
  columns: [
    seconds,
    cpu,
    { head: "MiB/s", cell: (runs) => median(runs.map((run) => rate(run) / 2 ** 20)).toFixed(0) },
    { ...throughput, head: "× sha256" },
    blocked,
    peak,
  ],
  lines: [
    stream(hash, "hash-alone", undefined),
    stream("disk: writev and fdatasync", "disk-alone", hash),
    stream("varve, not synced", "ingest-unsynced", hash),
    stream("varve", "ingest", hash),
    stream("varve, after half of it", "ingest", hash, { before: ["warm-memory", "begin-ingest"] }),
  ],
};

const small: Section = {
  title: "blobs of 4 KiB, 8 at a time",
  columns: [
    seconds,
    cpu,
    { head: "blobs/s", cell: (runs) => median(runs.map(rate)).toFixed(0) },
    { ...throughput, head: "× cacache" },
    peak,
  ],
  lines: [
    { name: "cacache, 10,000, not synced", task: "cacache-small-unsynced", size: 10_000 },
    {
      name: "varve, 10,000, not synced",
      task: "varve-small-unsynced",
      size: 10_000,
      base: "cacache, 10,000, not synced",
    },
    { name: "cacache, 1,000, synced", task: "cacache-small", size: 1000 },
    { name: "varve, 1,000", task: "varve-small", size: 1000, base: "cacache, 1,000, synced" },
  ],
};

const memory: Section = {
  title: "memory",
  columns: [seconds, cpu, peak, ratio("× peak", (run, base) => run.peakMegabytes / base.peakMegabytes)],
  lines: [
    stream("ingest of 1 GiB", "ingest", undefined),
    stream("ingest of 4 GiB", "ingest", "ingest of 1 GiB", { size: 4 * gibibyte }),
  ],
};

function nameAt(blobs: number, what: string): string {
  return `${blobs.toLocaleString("en")}: ${what}`;
}

/** What is done with one store of so many blobs. */
function collectionOf(blobs: number, smaller?: number): readonly Line[] {
  const line = (what: string, task: string, more: Partial<Line> = {}): Line => ({
    name: nameAt(blobs, what),
    task,
    size: blobs,
    base: smaller === undefined ? undefined : nameAt(smaller, what),
    continues: true,
    ...more,
  });
  return [
    line("readdir and lstat", "list-alone", { continues: false, before: ["populate"] }),
    line("walk", "walk"),
    line("walk of a namespace", "walk-records"),
    line("collect, all is needed", "collect"),
    line("collect, half is not", "collect", { before: ["forget-half"] }),
  ];
}

const collections: Section = {
  title: "a store of 100,000 blobs and 10,000 snapshots",
  columns: [seconds, cpu, ratio("CPU × a quarter", (run, base) => run.cpuSeconds / base.cpuSeconds), blocked, peak],
  lines: [...collectionOf(25_000), ...collectionOf(100_000, 25_000)],
};

/** What is done with content stores. */
export const contentSections: readonly Section[] = [streams, small, memory, collections];
