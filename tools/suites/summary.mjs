// Adds up what the steps of `.ci/run` left in VARVE_RESULTS_DIR. Runs on Node 20: the bootstrap may be what failed.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const folder = process.env.VARVE_RESULTS_DIR;

/** A step that tells no numbers of its own counts as one test. */
function outcomeOf(name, status) {
  const file = join(folder, `${name}.json`);
  if (!existsSync(file)) return { passed: status === 0 ? 1 : 0, failed: status === 0 ? 0 : 1, skipped: 0 };
  const outcome = JSON.parse(readFileSync(file, "utf8"));
  return status !== 0 && outcome.failed === 0 ? { ...outcome, failed: 1 } : outcome;
}

const failures = [];
const total = { passed: 0, failed: 0, skipped: 0 };
console.log("");
for (const line of readFileSync(join(folder, "steps"), "utf8").trim().split("\n")) {
  const [name, status, seconds] = line.split(" ");
  const outcome = outcomeOf(name, Number(status));
  for (const key of Object.keys(total)) total[key] += outcome[key];
  failures.push(...(outcome.failures ?? []));
  const verdict = outcome.failed === 0 ? "ok    " : "FAILED";
  const counts = `${outcome.passed} passed, ${outcome.failed} failed, ${outcome.skipped} skipped`;
  console.log(`${verdict} ${name.padEnd(16)} ${seconds.padStart(5)} s   ${counts}`);
}
for (const failure of failures) console.log(`FAILED ${failure}`);
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed === 0 ? 0 : 1;
