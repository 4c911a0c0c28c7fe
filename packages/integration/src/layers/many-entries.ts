// node many-entries.ts COUNT ROOT
// Writes a layer with so many files in one directory, which is made as it is written, and prints what that cost.
import { writeSync } from "node:fs";
import { createLayerWriter, createTarWriter } from "@varve/archive";

export interface ManyEntriesCost {
  /** Microseconds of the processor, in the writer of the layer alone. */
  readonly cpu: number;
  /** The largest that the process was. */
  readonly megabytes: number;
  readonly entries: number;
}

const [count = "0", root = ""] = process.argv.slice(2);
const blockBytes = 1 << 18;
const block = Buffer.alloc(blockBytes + 4096);
let filled = 0;
let cpu = 0;

function measured<T>(work: () => T): T {
  const before = process.cpuUsage();
  const result = work();
  const { user, system } = process.cpuUsage(before);
  cpu += user + system;
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
for (let at = 0; at < Number(count); at += 1) {
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
