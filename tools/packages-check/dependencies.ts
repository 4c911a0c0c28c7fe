import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ownFolder } from "../shared/workspace.ts";
import type { WorkspacePackage } from "../shared/workspace.ts";
import type { TableRow } from "./table.ts";

/** Compares the manifest and the turbo tag of a package with its row of the table. */
export function checkDependencies(one: WorkspacePackage, table: ReadonlyMap<string, TableRow>): readonly string[] {
  if (one.folder === "integration") return [];
  const row = table.get(one.folder);
  if (row === undefined) return ["has no row in the table of docs/architecture.md"];
  return [...checkTag(one, row), ...checkImports(one, row), ...checkDevelopment(one, table), ...checkVersions(one)];
}

function checkTag(one: WorkspacePackage, row: TableRow): readonly string[] {
  const turbo: { tags?: readonly string[] } = JSON.parse(readFileSync(join(one.path, "turbo.json"), "utf8"));
  const actual = turbo.tags?.join(", ") ?? "none";
  return actual === row.tag ? [] : [`turbo.json: tag is ${actual}, the table says ${row.tag}`];
}

function checkImports(one: WorkspacePackage, row: TableRow): readonly string[] {
  const actual = ownNames(one.manifest.dependencies);
  const surplus = actual.filter((name) => !row.mayImport.includes(name));
  const missing = row.mayImport.filter((name) => !actual.includes(name));
  return [
    ...surplus.map((name) => `depends on ${name}, which the table does not allow`),
    ...missing.map((name) => `the table lists ${name}, which is not among its dependencies`),
  ];
}

/** Tests are held to the tags by `turbo boundaries`; what is left are conformance suites, which nobody may ship. */
function checkDevelopment(one: WorkspacePackage, table: ReadonlyMap<string, TableRow>): readonly string[] {
  return ownNames(one.manifest.dependencies)
    .filter((name) => table.get(name)?.tag === "conformance")
    .map((name) => `${name} is a conformance suite: it belongs to devDependencies`);
}

function checkVersions(one: WorkspacePackage): readonly string[] {
  const all = { ...one.manifest.dependencies, ...one.manifest.devDependencies };
  return Object.entries(all)
    .filter(([name, range]) => range !== (isOurs(name) ? "workspace:^" : "catalog:"))
    .map(([name, range]) => `${name}: ${range}: must be catalog: for others, workspace:^ for ours`);
}

/** Published or, below `tools/`, not. */
function isOurs(name: string): boolean {
  return ownFolder(name) !== undefined || name.startsWith("@varve-tools/");
}

function ownNames(dependencies: Readonly<Record<string, string>> = {}): readonly string[] {
  return Object.keys(dependencies)
    .map((name) => ownFolder(name))
    .filter((name) => name !== undefined)
    .toSorted();
}
