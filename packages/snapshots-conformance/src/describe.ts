import type { SnapshotterNeed } from "./case.ts";
import { snapshotterCases } from "./cases.ts";
import { runSnapshotterCase } from "./run.ts";
import type { RunOptions } from "./run.ts";

/** `it` of vitest, node:test, mocha or jest. */
export interface TestFunction {
  (name: string, run: () => Promise<void>): unknown;
  readonly skip: (name: string, run: () => Promise<void>) => unknown;
}

export interface DescribeSnapshotterOptions extends RunOptions {
  readonly describe: (name: string, body: () => void) => unknown;
  readonly it: TestFunction;
  /** What the snapshotter cannot do; the cases that need it are shown as skipped. Without a mounter, `mount` is added. */
  readonly lacks?: readonly SnapshotterNeed[] | undefined;
}

/** Registers every case with a test runner. */
export function describeSnapshotter(name: string, options: DescribeSnapshotterOptions): void {
  const { describe, it, lacks = [], mounter } = options;
  const lacking = new Set<SnapshotterNeed>(mounter === undefined ? [...lacks, "mount"] : lacks);
  describe(`snapshotter ${name}`, () => {
    for (const testCase of snapshotterCases) {
      const missing = testCase.needs.filter((need) => lacking.has(need));
      const run = (): Promise<void> => runSnapshotterCase(testCase, options);
      if (missing.length === 0) it(testCase.name, run);
      else it.skip(`${testCase.name} (lacks ${missing.join(", ")})`, run);
    }
  });
}
