import { existsSync, readFileSync } from "node:fs";
import { relative } from "node:path";
import { root } from "../shared/workspace.ts";

/** What a run of vitest came to. */
export interface VitestReport {
  readonly passed: number;
  /** Tests that failed, and files that failed before any test of theirs ran. */
  readonly failed: number;
  /** `file > title: message` of each failure, at most 16 lines of it. */
  readonly failures: readonly string[];
  /** `file > title` of each test that did not run. */
  readonly skipped: readonly string[];
}

const linesOfFailure = 16;

interface RawReport {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message?: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages?: readonly string[];
    }[];
  }[];
}

/** Reads what vitest's JSON reporter wrote; no file is an empty report, because then vitest itself failed. */
export function readVitestReport(path: string): VitestReport {
  if (!existsSync(path)) return { passed: 0, failed: 0, failures: [], skipped: [] };
  const raw: RawReport = JSON.parse(readFileSync(path, "utf8"));
  let passed = 0;
  const failures: string[] = [];
  const skipped: string[] = [];
  for (const { name, status, message, assertionResults } of raw.testResults) {
    const file = relative(root, name);
    for (const test of assertionResults) {
      const title = `${file} > ${test.fullName}`;
      if (test.status === "passed") passed += 1;
      else if (test.status === "failed") failures.push(`${title}: ${briefly(test.failureMessages?.[0])}`);
      else skipped.push(title);
    }
    const alone = status === "failed" && !assertionResults.some((test) => test.status === "failed");
    if (alone) failures.push(`${file}: ${briefly(message)}`);
  }
  return { passed, failed: failures.length, failures, skipped };
}

/** What was said, without the call stacks: a child's error has its causes far below its first line. */
function briefly(message: string = ""): string {
  const said = message.split("\n").filter((line) => line.trim() !== "" && !/^\s+at /.test(line));
  return said.slice(0, linesOfFailure).join("\n         ");
}
