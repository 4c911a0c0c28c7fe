// Holds every package against the table in docs/architecture.md and against the form that all packages share.
import { join } from "node:path";
import { workspacePackages, root } from "../shared/workspace.ts";
import { checkDependencies } from "./dependencies.ts";
import { checkForm } from "./form.ts";
import { readDependencyTable } from "./table.ts";

const table = readDependencyTable(join(root, "docs/architecture.md"));
const packages = workspacePackages();
const problems: string[] = [];

for (const folder of table.keys()) {
  if (!packages.some((one) => one.folder === folder)) problems.push(`docs/architecture.md: ${folder}: no such package`);
}
for (const one of packages) {
  const found = [...checkDependencies(one, table), ...checkForm(one)];
  problems.push(...found.map((problem) => `packages/${one.folder}: ${problem}`));
}
for (const problem of problems) console.error(problem);
console.log(`${packages.length} packages, ${problems.length} problems`);
process.exitCode = problems.length === 0 ? 0 : 1;
