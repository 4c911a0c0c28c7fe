import { isDeepStrictEqual } from "node:util";
import { mustSucceed } from "./must-succeed.ts";
import type { Tarball } from "./pack.ts";
import { packedExports } from "../packages-check/form.ts";
import { execute } from "../shared/execute.ts";
import type { Manifest } from "../shared/workspace.ts";

/** Resolves to what is wrong with a tarball: its manifest, its files, and what publint and attw say. */
export async function inspectTarball({ source, file }: Tarball): Promise<string[]> {
  const listing = await mustSucceed("tar", ["-tzf", file]);
  const manifest: Manifest = JSON.parse(await mustSucceed("tar", ["-xzOf", file, "package/package.json"]));
  const problems = [...checkManifest(manifest), ...checkFiles(manifest, listing.trim().split("\n"))];

  const publint = await execute("publint", ["run", file, "--strict"]);
  if (!publint.ok) problems.push(publint.output);
  const attw = await execute("attw", [file, "--profile", "esm-only", "--no-color"]);
  if (!attw.ok) problems.push(attw.output);
  return problems.map((problem) => `${source.manifest.name}: ${problem.trimEnd()}`);
}

function checkManifest(manifest: Manifest): readonly string[] {
  const problems: string[] = [];
  if (!isDeepStrictEqual(manifest.exports, packedExports)) {
    problems.push(`exports of the tarball: ${JSON.stringify(manifest.exports)}: must point to dist`);
  }
  const ranges = { ...manifest.dependencies, ...manifest.peerDependencies, ...manifest.optionalDependencies };
  for (const [name, range] of Object.entries(ranges)) {
    if (/^(?:workspace|catalog|file|link):/.test(range)) problems.push(`${name}: ${range}: means nothing outside`);
  }
  return problems;
}

function checkFiles(manifest: Manifest, listing: readonly string[]): readonly string[] {
  const needed = ["README.md", "LICENSE", "package.json", "dist/index.js", "dist/index.d.ts", "src/index.ts"];
  const commands = Object.values(manifest.bin ?? {}).map((file) => file.replace(/^\.\//, ""));
  return [...needed, ...commands]
    .filter((name) => !listing.includes(`package/${name}`))
    .map((name) => `${name}: not packed`);
}
