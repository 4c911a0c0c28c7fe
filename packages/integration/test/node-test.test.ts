import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { bash } from "@varve-tools/corpus";
import { snapshotterCases } from "@varve/snapshots-conformance";
import { expect, test } from "vitest";
import { unmount } from "../src/faults/disk-image.ts";
import { environment } from "../src/images-under-test.ts";
import { lacksOf } from "../src/lacks.ts";
import type { Backend } from "../src/lacks.ts";

const suite = join(import.meta.dirname, "../src/node-test-suite.ts");
const backends: readonly Backend[] = ["overlay", "native", "btrfs"];

test.skipIf(environment.missing !== undefined).each(backends)(
  "the suite passes over %s under node:test too, and what is lacking shows as skipped",
  // When it hangs: each of many commits to a btrfs waits for threads of the kernel, minutes in all where much else runs.
  { concurrent: true, timeout: 1_800_000 },
  async (backend) => {
    const base = mkdtempSync(join(tmpdir(), "varve-node-test-"));
    const directory = join(base, "directory");
    const memory = join(base, "memory");
    for (const path of [directory, memory]) mkdirSync(path);
    const isOnDisk = backend === "btrfs";
    try {
      if (isOnDisk) {
        // It commits to its disk very often, and nothing here is to survive.
        await bash('mount -t tmpfs none "$1"; truncate -s 2G "$1/disk"; mkfs.btrfs -q "$1/disk"', [memory]);
        await bash('mount -o loop "$1/disk" "$2"', [memory, directory]);
      }
      const tap = await run(backend, directory);
      // What is added when no layers are told.
      const lacks = [...lacksOf[backend], "layers", "committed-layer", "staged-layer"];
      const skipped = snapshotterCases.filter(({ needs }) => needs.some((need) => lacks.includes(need)));
      expect(tap.match(/^not ok .*$/gm) ?? []).toEqual([]);
      expect(count(tap, "fail")).toBe(0);
      expect(count(tap, "skipped")).toBe(skipped.length);
      expect(count(tap, "pass")).toBe(snapshotterCases.length - skipped.length);
    } finally {
      if (isOnDisk) for (const path of [directory, memory]) await unmount(path);
      rmSync(base, { recursive: true });
    }
  },
);

async function run(backend: Backend, directory: string): Promise<string> {
  // Or the child takes itself for a part of a run that it is not in.
  const { NODE_TEST_CONTEXT: _, NODE_OPTIONS: __, ...inherited } = process.env;
  const env = { ...inherited, VARVE_BACKEND: backend, VARVE_DIRECTORY: directory };
  const args = ["--no-warnings", "--test", "--test-reporter=tap", suite];
  const options = { env, maxBuffer: 2 ** 26 };
  // A failure is told by what it has printed.
  return promisify(execFile)(process.execPath, args, options).then(
    ({ stdout }) => stdout,
    (error: { stdout: string }) => error.stdout,
  );
}

function count(tap: string, what: string): number {
  return Number(new RegExp(`^# ${what} (\\d+)$`, "m").exec(tap)?.[1]);
}
