import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestNode } from "./nodes.ts";
import { exportedValues } from "./pack.ts";
import type { Tarball } from "./pack.ts";
import { pullSmoke } from "./pull-smoke.ts";
import { isRunnable, readBlocks } from "../readmes/blocks.ts";
import { runBlock } from "../readmes/run.ts";
import { eachLimited, execute } from "../shared/execute.ts";
import { root } from "../shared/workspace.ts";

/** Imports every package, and requires every package, and compares what they export with what the sources promise. */
const program = `
import { createRequire } from "node:module";
import { isDeepStrictEqual } from "node:util";
import { expected } from "./expected.mjs";

const require = createRequire(import.meta.url);
for (const [name, values] of Object.entries(expected)) {
  try {
    const imported = await import(name);
    const actual = Object.keys(imported).toSorted();
    if (!isDeepStrictEqual(actual, values)) {
      console.log(\`\${name}: exports \${actual.join(", ")} instead of \${values.join(", ")}\`);
    }
    if (require(name) !== imported) console.log(\`\${name}: require() gives another copy\`);
  } catch (error) {
    console.log(\`\${name}: \${error.message}\`);
  }
}
`;

const limit = 60_000;

/** Uses the installed packages on one Node; resolves to what does not work. */
export async function smokeTest(
  node: TestNode,
  consumer: string,
  tarballs: readonly Tarball[],
): Promise<readonly string[]> {
  const expected = Object.fromEntries(tarballs.map(({ source }) => [source.manifest.name, exportedValues(source)]));
  writeFileSync(join(consumer, "expected.mjs"), `export const expected = ${JSON.stringify(expected)};\n`);
  writeFileSync(join(consumer, "smoke.mjs"), program);
  const problems = [...(await loadPackages(node, consumer)), ...(await runCommands(node, consumer, tarballs))];
  problems.push(...(await pullSmoke(node, consumer)));
  // The examples start worker threads and open stores, so they show that what is packed also works.
  const examples = await eachLimited(tarballs, 2, (tarball) => runExamples(node, consumer, tarball));
  return [...problems, ...examples.flat()];
}

async function loadPackages(node: TestNode, consumer: string): Promise<readonly string[]> {
  const options = { cwd: consumer, timeout: limit };
  const loaded = await execute(node.executable, ["--disable-warning=ExperimentalWarning", "smoke.mjs"], options);
  const problems = loaded.output.split("\n").filter(Boolean);
  if (!loaded.ok) problems.push(`smoke.mjs: ${loaded.status}`);
  return problems;
}

async function runCommands(node: TestNode, consumer: string, tarballs: readonly Tarball[]): Promise<readonly string[]> {
  const problems: string[] = [];
  const options = { cwd: consumer, timeout: limit };
  for (const { source } of tarballs.filter((tarball) => tarball.source.manifest.bin !== undefined)) {
    for (const command of Object.keys(source.manifest.bin ?? {})) {
      const bin = join(consumer, "node_modules/.bin", command);
      const shown = await execute(node.executable, [bin, "--version"], options);
      if (!shown.ok || !shown.output.split("\n").includes(source.manifest.version)) {
        problems.push(`${command} --version: ${shown.status}: ${shown.output.trimEnd()}`);
      }
    }
  }
  return problems;
}

async function runExamples(node: TestNode, consumer: string, { source }: Tarball): Promise<readonly string[]> {
  const document = `packages/${source.folder}/README.md`;
  const problems: string[] = [];
  if (!existsSync(join(root, document))) return problems;
  for (const block of readBlocks(document).filter(isRunnable)) {
    const file = join(consumer, `${source.folder}-${block.line}.ts`);
    writeFileSync(file, block.code);
    const problem = await runBlock(file, node.executable);
    if (problem !== undefined) problems.push(`${document}:${block.line}: ${problem}`);
  }
  return problems;
}
