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
  /**
   * Whether the mounter takes the options `uidmap` and `gidmap` (`withIdMappings` of `@varve/mount`), or whatever else the
   * snapshotter says for this; the filesystem has to allow it too. Default: false, and `id-mapped-mount` is lacking.
   */
  readonly idMappedMounts?: boolean | undefined;
  /**
   * What the snapshotter cannot do; the cases that need it are shown as skipped. `mount` is added without a mounter, `xattrs`
   * without these, and without `layers` all that those cases need.
   */
  readonly lacks?: readonly SnapshotterNeed[] | undefined;
}

/** Registers every case with a test runner. */
export function describeSnapshotter(name: string, options: DescribeSnapshotterOptions): void {
  const { describe, it } = options;
  const lacking = lackingOf(options);
  describe(`snapshotter ${name}`, () => {
    for (const testCase of snapshotterCases) {
      const missing = testCase.needs.filter((need) => lacking.has(need));
      const run = (): Promise<void> => runSnapshotterCase(testCase, options);
      if (missing.length === 0) it(testCase.name, run);
      else it.skip(`${testCase.name} (lacks ${missing.join(", ")})`, run);
    }
  });
}

function lackingOf(options: DescribeSnapshotterOptions): ReadonlySet<SnapshotterNeed> {
  const { lacks = [], mounter, layers, xattrs, idMappedMounts = false } = options;
  const lacking = new Set(lacks);
  if (mounter === undefined) lacking.add("mount");
  if (xattrs === undefined) lacking.add("xattrs");
  if (!idMappedMounts) lacking.add("id-mapped-mount");
  if (layers === undefined) lacking.add("layers");
  if (layers?.committed === undefined) lacking.add("committed-layer");
  if (layers?.staged === undefined) lacking.add("staged-layer");
  return lacking;
}
