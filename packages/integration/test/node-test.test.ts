import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { bash } from "@varve-tools/corpus";
import { snapshotterCases } from "@varve/snapshots-conformance";
import { expect, test } from "vitest";
import { environment } from "../src/images-under-test.ts";
import { lacksOf } from "../src/lacks.ts";
import type { Backend } from "../src/lacks.ts";

const suite = join(import.meta.dirname, "../src/node-test-suite.ts");
const backends: readonly Backend[] = ["overlay", "native", "btrfs"];

test.skipIf(environment.missing !== undefined).each(backends)(
  "the suite passes over %s under node:test too, and what is lacking shows as skipped",
  async (backend) => {
    const base = mkdtempSync(join(tmpdir(), "varve-node-test-"));
    const directory = join(base, "directory");
    mkdirSync(directory);
    const isOnDisk = backend === "btrfs";
    try {
      if (isOnDisk) {
        const script = 'truncate -s 2G "$1" && mkfs.btrfs -q "$1" && mount -o loop "$1" "$2"';
        await bash(script, [join(base, "disk"), directory]);
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
      if (isOnDisk) await bash('umount "$1"', [directory]);
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
