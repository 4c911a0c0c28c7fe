import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execute } from "../shared/execute.ts";
import { root } from "../shared/workspace.ts";
import type { Block } from "./blocks.ts";

/** An example must compile in a project that sets `strict` and no more. */
const compilerOptions = {
  noUnusedParameters: false,
  noUncheckedIndexedAccess: false,
  exactOptionalPropertyTypes: false,
  noUnusedLocals: false,
  isolatedDeclarations: false,
  declaration: false,
  typeRoots: [join(root, "node_modules/@types")],
};

const problemPattern = /^(\S+\.ts)\((\d+),\d+\): error (.*)$/gm;

/** Type-checks all blocks that are not marked `untyped` at once; resolves to pairs of a block and its problem. */
export async function typecheckBlocks(
  files: ReadonlyMap<Block, string>,
): Promise<readonly (readonly [block: Block, problem: string])[]> {
  const typed = Array.from(files).flatMap(([{ flags }, file]) => (flags.includes("untyped") ? [] : [file]));
  if (typed.length === 0) return [];
  const folder = mkdtempSync(join(tmpdir(), "varve-readme-types-"));
  const project = join(folder, "tsconfig.json");
  const config = { extends: join(root, "tsconfig.base.json"), compilerOptions, files: typed };
  writeFileSync(project, JSON.stringify(config));
  const result = await execute("tsc", ["-p", project, "--pretty", "false"]);
  rmSync(folder, { recursive: true });
  if (result.ok) return [];
  const problems = Array.from(result.output.matchAll(problemPattern), ([, path = "", line, problem]) => {
    const block = [...files].find(([, file]) => path.endsWith(file.slice(root.length + 1)))?.[0];
    return block && ([block, `line ${line} of the block: ${problem}`] as const);
  }).filter((pair) => pair !== undefined);
  if (problems.length === 0) throw new Error(`tsc: ${result.status}\n${result.output}`);
  return problems;
}
