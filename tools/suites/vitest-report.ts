import { existsSync, readFileSync } from "node:fs";
import { relative } from "node:path";
import { root } from "../shared/workspace.ts";

/** What a run of vitest came to. */
export interface VitestReport {
  readonly passed: number;
  /** Tests that failed, and files that failed before any test of theirs ran. */
  readonly failed: number;
  /** `file > title` of each test that did not run. */
  readonly skipped: readonly string[];
}

interface RawReport {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}

/** Reads what vitest's JSON reporter wrote; no file is an empty report, because then vitest itself failed. */
export function readVitestReport(file: string): VitestReport {
  if (!existsSync(file)) return { passed: 0, failed: 0, skipped: [] };
  const raw: RawReport = JSON.parse(readFileSync(file, "utf8"));
  let passed = 0;
  let failed = 0;
  const skipped: string[] = [];
  for (const { name, status, assertionResults } of raw.testResults) {
    const failures = assertionResults.filter((test) => test.status === "failed").length;
    failed += status === "failed" && failures === 0 ? 1 : failures;
    for (const test of assertionResults) {
      if (test.status === "passed") passed += 1;
      else if (test.status !== "failed") skipped.push(`${relative(root, name)} > ${test.fullName}`);
    }
  }
  return { passed, failed, skipped };
}
