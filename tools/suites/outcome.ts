/** How many tests passed, failed and were skipped, and in how many seconds. */
export interface Outcome {
  /** A line for each failure: which test, and why. */
  readonly failures: readonly string[];
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly seconds: number;
}

export const noOutcome: Outcome = { failures: [], passed: 0, failed: 0, skipped: 0, seconds: 0 };

export function addOutcomes(a: Outcome, b: Outcome): Outcome {
  return {
    failures: [...a.failures, ...b.failures],
    passed: a.passed + b.passed,
    failed: a.failed + b.failed,
    skipped: a.skipped + b.skipped,
    seconds: a.seconds + b.seconds,
  };
}

/** The line that ends every run. */
export function totalLine({ passed, failed, skipped }: Outcome): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

export function printOutcome(name: string, outcome: Outcome): void {
  const verdict = outcome.failed === 0 ? "ok    " : "FAILED";
  console.log(`${verdict} ${name.padEnd(16)} ${outcome.seconds.toFixed(1).padStart(7)} s   ${totalLine(outcome)}`);
  for (const failure of outcome.failures) console.log(`       ${failure}`);
}
