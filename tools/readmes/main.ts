// Type-checks and runs every `ts` block of the README files and of docs/, each in a process and an empty folder of its own.
// A fence can opt out of one of the two: `ts untyped` for an example with fakes too small to be complete, `ts no-run`.
import { globSync } from "node:fs";
import { isRunnable, readBlocks } from "./blocks.ts";
import type { Block } from "./blocks.ts";
import { prepareBlocks } from "./prepare.ts";
import { runBlock } from "./run.ts";
import { typecheckBlocks } from "./typecheck.ts";
import { eachLimited } from "../shared/execute.ts";
import { root } from "../shared/workspace.ts";

const documents = globSync(["README.md", "packages/*/README.md", "docs/*.md"], { cwd: root }).toSorted();
const chosen = process.argv.slice(2);
const blocks = documents
  .filter((document) => chosen.length === 0 || chosen.some((part) => document.includes(part)))
  .flatMap((document) => readBlocks(document))
  .filter((block) => block.language === "ts");
const runnable = blocks.filter(isRunnable);

const failures: string[] = [];
function report(block: Block, problem: string): void {
  const where = `${block.document}:${block.line}`;
  failures.push(where);
  console.error(`${where}: ${problem.trimEnd()}`);
}

await using prepared = prepareBlocks(blocks);
for (const [block, problem] of await typecheckBlocks(prepared.files)) report(block, problem);
await eachLimited(runnable, 2, async (block) => {
  const file = prepared.files.get(block);
  const problem = file === undefined ? "was not prepared" : await runBlock(file);
  if (problem !== undefined) report(block, problem);
});

for (const block of blocks.filter((one) => !runnable.includes(one))) {
  console.log(`${block.document}:${block.line}: not run, as its fence says`);
}
const skipped = blocks.length - runnable.length;
const failed = new Set(failures).size;
console.log(`${documents.length} documents: ${runnable.length} blocks ran, ${failed} failed, ${skipped} not run`);
process.exitCode = failed === 0 ? 0 : 1;
