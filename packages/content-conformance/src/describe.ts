import type { ContentStoreNeed } from "./case.ts";
import { contentStoreCases } from "./cases.ts";
import { runContentStoreCase } from "./run.ts";
import type { OpenContentStore } from "./run.ts";

/** `it` of vitest, node:test, mocha or jest. */
export interface TestFunction {
  (name: string, run: () => Promise<void>): unknown;
  readonly skip: (name: string, run: () => Promise<void>) => unknown;
}

export interface DescribeContentStoreOptions {
  readonly describe: (name: string, body: () => void) => unknown;
  readonly it: TestFunction;
  /** What the store cannot do; the cases that need it are shown as skipped. */
  readonly lacks?: readonly ContentStoreNeed[] | undefined;
  readonly open: OpenContentStore;
}

/** Registers every case with a test runner. */
export function describeContentStore(name: string, options: DescribeContentStoreOptions): void {
  const { describe, it, lacks = [], open } = options;
  describe(`content store ${name}`, () => {
    for (const testCase of contentStoreCases) {
      const missing = testCase.needs.filter((need) => lacks.includes(need));
      const run = (): Promise<void> => runContentStoreCase(testCase, open);
      if (missing.length === 0) it(testCase.name, run);
      else it.skip(`${testCase.name} (lacks ${missing.join(", ")})`, run);
    }
  });
}
