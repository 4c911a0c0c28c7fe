import { mkdirSync, mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exec } from "@varve-tools/corpus";
import { expect, test } from "vitest";
import { whyNoFaults } from "../src/faults/missing.ts";
import type { ManyEntriesCost } from "../src/layers/many-entries.ts";
import { rounds } from "../src/rounds.ts";

const missing = await whyNoFaults([]);
const program = join(import.meta.dirname, "../src/layers/many-entries.ts");
const many = rounds(1_000_000, 200_000);
/** At quadratic cost the eighth tenth costs three times the third. Others on the machine make some tenths dearer, and none cheaper. */
const mostRatio = 1.6;

/** In memory: a disk would be busy with its own. */
async function costOf(count: number): Promise<ManyEntriesCost> {
  const disk = mkdtempSync(join(tmpdir(), "varve-million-"));
  await exec("mount", ["-t", "tmpfs", "-o", "nr_inodes=0", "none", disk]);
  try {
    mkdirSync(join(disk, "root"));
    const { stdout } = await exec(process.execPath, [program, String(count), join(disk, "root")]);
    const cost = JSON.parse(stdout) as ManyEntriesCost;
    process.stdout.write(`${stdout}\n`);
    return cost;
  } finally {
    await exec("umount", ["-l", disk]);
    rmdirSync(disk);
  }
}

test.skipIf(missing !== undefined)(
  `of ${many} entries in one directory the last cost what the first do, and no more memory than any layer may (privileged${missing === undefined ? "" : `: ${missing}`})`,
  async () => {
    let first = Infinity;
    let last = Infinity;
    for (let attempt = 0; attempt < 5 && !(last < mostRatio * first); attempt += 1) {
      const { cpu, entries, megabytes } = await costOf(many);
      expect(entries).toBe(many);
      expect(megabytes).toBeLessThan(200);
      first = Math.min(first, ...cpu.slice(0, 3));
      last = Math.min(last, ...cpu.slice(-3));
    }
    expect(last).toBeLessThan(mostRatio * first);
  },
);
