import { mkdirSync, mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exec } from "@varve-tools/corpus";
import { expect, test } from "vitest";
import { whyNoFaults } from "../src/faults/missing.ts";
import type { ManyEntriesCost } from "../src/layers/many-entries.ts";

const missing = await whyNoFaults([]);
const program = join(import.meta.dirname, "../src/layers/many-entries.ts");
const million = 1_000_000;

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
  `a million entries in one directory cost twice as much as half of them, and no more memory than any layer may (privileged${missing === undefined ? "" : `: ${missing}`})`,
  async () => {
    let [half, whole] = [await costOf(million / 2), await costOf(million)];
    for (let attempt = 1; attempt < 3 && whole.cpu > 2.5 * half.cpu; attempt += 1) {
      [half, whole] = [await costOf(million / 2), await costOf(million)];
    }
    expect(whole.entries).toBe(million);
    expect(whole.cpu).toBeLessThan(2.5 * half.cpu);
    expect(whole.megabytes).toBeLessThan(200);
  },
);
