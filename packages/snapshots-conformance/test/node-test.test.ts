import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { snapshotterCases } from "@varve/snapshots-conformance";
import { expect, test } from "vitest";

const suite = fileURLToPath(new URL("node-test-suite.ts", import.meta.url));
// As that suite says, and no mounter.
const lacks = ["mount", "xattrs", "id-mapped-mount", "rebase", "staged-layer"];

test("under node:test the same cases run, and what is lacking shows as skipped with the reason", async () => {
  // Or the child takes itself for a part of a run that it is not in.
  const { NODE_TEST_CONTEXT: _, NODE_OPTIONS: __, ...env } = process.env;
  const args = ["--test", "--test-reporter=tap", suite];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env, maxBuffer: 1 << 24 });
  const skipped = snapshotterCases.filter(({ needs }) => needs.some((need) => lacks.includes(need)));
  expect(skipped.length).toBeGreaterThan(0);
  expect(count(stdout, "fail")).toBe(0);
  expect(count(stdout, "skipped")).toBe(skipped.length);
  expect(count(stdout, "pass")).toBe(snapshotterCases.length - skipped.length);
  expect(stdout).toContain("- a snapshot that has a parent keeps it (lacks rebase) # SKIP");
  expect(stdout).toContain("- a layer that comes staged has its files (lacks mount, staged-layer) # SKIP");
});

function count(tap: string, what: string): number {
  return Number(new RegExp(`^# ${what} (\\d+)$`, "m").exec(tap)?.[1]);
}
