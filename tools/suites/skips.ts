import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../shared/workspace.ts";

interface AllowedSkip {
  /** `file > title`, or several; a `*` stands for any text. */
  readonly test: string | readonly string[];
  readonly reason: string;
}

/**
 * Lists the tests that did not run, and the reason where one is written down in allowed-skips.json.
 *
 * @returns how many must be counted as failed: those without a reason, on a machine where everything must run
 */
export function judgeSkips(tests: readonly string[]): number {
  const allowed: readonly AllowedSkip[] = JSON.parse(
    readFileSync(join(root, "tools/suites/allowed-skips.json"), "utf8"),
  );
  const strict = process.env["VARVE_REQUIRE_PRIVILEGED"] === "1";
  let unexpected = 0;
  for (const test of tests) {
    const reason = allowed.find((entry) => [entry.test].flat().some((pattern) => matches(pattern, test)))?.reason;
    if (reason === undefined) unexpected += 1;
    console.log(`skipped: ${test}: ${reason ?? (strict ? "NOT ALLOWED HERE" : "not possible on this machine")}`);
  }
  return strict ? unexpected : 0;
}

/** Compares a test with a pattern in which `*` stands for any text. */
export function matches(pattern: string, test: string): boolean {
  const parts = pattern.split("*").map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`, "s").test(test);
}
