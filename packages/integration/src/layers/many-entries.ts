// node many-entries.ts COUNT ROOT
// Writes a layer with so many files in one directory, which is made as it is written, and prints what each tenth of it cost.
import { writeSync } from "node:fs";
import { createLayerWriter, createTarWriter } from "@varve/archive";

export interface ManyEntriesCost {
  /** Microseconds of the processor, in the writer of the layer alone, for each tenth of the entries. */
  readonly cpu: readonly number[];
  /** The largest that the process was. */
  readonly megabytes: number;
  readonly entries: number;
}

const [count = "0", root = ""] = process.argv.slice(2);
const blockBytes = 1 << 18;
const block = Buffer.alloc(blockBytes + 4096);
let filled = 0;
const cpu = Array.from({ length: 10 }, () => 0);
let at = 0;

function measured<T>(work: () => T): T {
  const before = process.cpuUsage();
  const result = work();
  const { user, system } = process.cpuUsage(before);
  const tenth = Math.min(Math.floor((at / Number(count)) * 10), 9);
  cpu[tenth] = (cpu[tenth] ?? 0) + user + system;
  return result;
}

const writer = createLayerWriter(root);
const archive = createTarWriter((bytes) => {
  block.set(bytes, filled);
  filled += bytes.length;
  if (filled < blockBytes) return;
  measured(() => writer.write(block.subarray(0, filled)));
  filled = 0;
});
for (; at < Number(count); at += 1) {
  const mtime = { seconds: 1_600_000_000, nanoseconds: 0 };
  archive.entry({ name: Buffer.from(`d/f${at}`), type: "file", mode: 0o644, uid: 0, gid: 0, mtime });
}
archive.end();
const { entries } = measured(() => {
  writer.write(block.subarray(0, filled));
  return writer.end();
});
const cost: ManyEntriesCost = { cpu, entries, megabytes: process.resourceUsage().maxRSS / 1000 };
writeSync(1, JSON.stringify(cost));
