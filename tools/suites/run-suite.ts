import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execute } from "../shared/execute.ts";
import type { Suite } from "./list.ts";
import { noOutcome } from "./outcome.ts";
import type { Outcome } from "./outcome.ts";
import { SecretWatch } from "./planted-secrets.ts";
import { judgeSkips } from "./skips.ts";
import { readVitestReport } from "./vitest-report.ts";

/** Runs one suite and shows its output as it comes. */
export async function runSuite(suite: Suite): Promise<Outcome> {
  const started = performance.now();
  const outcome = suite.vitest === true ? await runVitest(suite) : await runCheck(suite);
  return { ...outcome, seconds: (performance.now() - started) / 1000 };
}

async function runCheck({ name, command: [command, ...args] }: Suite): Promise<Outcome> {
  const result = await execute(command, args, { show: true });
  if (!result.ok) console.error(`${name}: ${result.status}`);
  return { ...noOutcome, passed: result.ok ? 1 : 0, failed: result.ok ? 0 : 1 };
}

async function runVitest({ name, command: [command, ...args] }: Suite): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), "varve-suite-"));
  const file = join(folder, "report.json");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
  const watch = new SecretWatch();
  // The programs and threads that tests start need a third less of a processor, if each need not compile all there is anew.
  const env = { NODE_COMPILE_CACHE: join(folder, "compiled") };
  const onOutput = (text: string): void => watch.read(text);
  const result = await execute(command, [...args, ...reporters], { env, show: true, onOutput });
  const report = readVitestReport(file);
  rmSync(folder, { recursive: true, maxRetries: 5 });
  const unexpected = judgeSkips(report.skipped);
  // A test that fails shows its own text.
  const leaked = report.failed === 0 && watch.found > 0;
  if (leaked) console.error(`${name}: a secret of a test was printed ${watch.found} times: look for planted-secret`);
  const failed = report.failed + unexpected + (leaked ? 1 : 0);
  // An error outside of every test leaves no trace but the exit status.
  const hidden = !result.ok && failed === 0 ? 1 : 0;
  if (!result.ok) console.error(`${name}: ${result.status}`);
  return {
    failures: report.failures,
    passed: report.passed,
    failed: failed + hidden,
    skipped: report.skipped.length - unexpected,
    seconds: 0,
  };
}
