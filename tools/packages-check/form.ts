import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { WorkspacePackage } from "../shared/workspace.ts";

/** What packed packages export, while `exports` points to the sources. */
export const packedExports: Readonly<Record<string, unknown>> = {
  ".": { types: "./dist/index.d.ts", default: "./dist/index.js" },
  "./package.json": "./package.json",
};

const developmentExports = { ".": "./src/index.ts", "./package.json": "./package.json" };

const sourceRules: readonly (readonly [pattern: RegExp, problem: string])[] = [
  [/^export \*/m, "export *: name what is exported"],
  [/^export default\b/m, "export default: only named exports"],
  [/^\s*(?:await )?using \w+ =/m, "`using` is a syntax error on Node 22: use try and finally"],
];

const readmeLines = 60;

/** Checks the parts that every package has: manifest, README, sources. */
export function checkForm(one: WorkspacePackage): readonly string[] {
  const published = one.manifest.private === true ? [] : [...checkManifest(one), ...checkReadme(one)];
  return [...published, ...checkSources(one)];
}

function checkManifest({ manifest }: WorkspacePackage): readonly string[] {
  const expected: readonly (readonly [name: string, actual: unknown, wanted: unknown])[] = [
    ["license", manifest.license, "Apache-2.0"],
    ["type", manifest.type, "module"],
    ["sideEffects", manifest.sideEffects, manifest.bin === undefined ? false : manifest.sideEffects],
    ["engines", manifest.engines, { node: ">=22.19.0" }],
    ["exports", manifest.exports, developmentExports],
    ["publishConfig.exports", manifest.publishConfig?.exports, packedExports],
    ["publishConfig.access", manifest.publishConfig?.access, "public"],
  ];
  const problems = expected
    .filter(([, actual, wanted]) => !isDeepStrictEqual(actual, wanted))
    .map(([name, , wanted]) => `package.json: ${name}: must be ${JSON.stringify(wanted)}`);
  for (const folder of ["dist", "src"]) {
    if (!manifest.files?.includes(folder)) problems.push(`package.json: files: ${folder} is missing`);
  }
  if (manifest.description === undefined) problems.push("package.json: description is missing");
  return problems;
}

function checkReadme(one: WorkspacePackage): readonly string[] {
  const file = join(one.path, "README.md");
  if (!existsSync(file)) return ["README.md is missing"];
  const lines = readFileSync(file, "utf8").trimEnd().split("\n").length;
  return lines > readmeLines ? [`README.md: ${lines} lines, ${readmeLines} are the limit`] : [];
}

function checkSources(one: WorkspacePackage): readonly string[] {
  const problems: string[] = [];
  for (const file of globSync("src/**/*.ts", { cwd: one.path }).toSorted()) {
    const text = readFileSync(join(one.path, file), "utf8");
    for (const [pattern, problem] of sourceRules) {
      if (pattern.test(text)) problems.push(`${file}: ${problem}`);
    }
  }
  return problems;
}
