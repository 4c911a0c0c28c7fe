// node tools/suites/main.ts SUITE…
// Runs the named suites one after another, goes on when one fails, and ends with the line `N passed, N failed, N skipped`.
import { allSuites } from "./list.ts";
import { addOutcomes, noOutcome, printOutcome, totalLine } from "./outcome.ts";
import type { Outcome } from "./outcome.ts";
import { recordOutcome } from "./record.ts";
import { runSuite } from "./run-suite.ts";

const names = process.argv.slice(2);
const unknown = names.filter((name) => !allSuites.some((suite) => suite.name === name));
if (unknown.length > 0) {
  console.error(`suites: ${unknown.join(", ")}: not known; known are ${allSuites.map(({ name }) => name).join(", ")}`);
  process.exit(2);
}

const results: (readonly [name: string, outcome: Outcome])[] = [];
for (const suite of allSuites.filter(({ name }) => names.includes(name))) {
  console.log(`\n== ${suite.name}: ${suite.command.join(" ").replace(process.execPath, "node")}`);
  results.push([suite.name, await runSuite(suite)]);
}

console.log("");
for (const [name, outcome] of results) printOutcome(name, outcome);
const total = results.reduce((sum, [, outcome]) => addOutcomes(sum, outcome), noOutcome);
recordOutcome(total);
console.log(totalLine(total));
process.exitCode = total.failed === 0 ? 0 : 1;
