import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mustSucceed } from "./must-succeed.ts";
import type { Tarball } from "./pack.ts";

/**
 * Installs all tarballs into an empty project with npm, as a user would.
 * The overrides make sure that our packages find each other's tarballs and never what is published under these names.
 *
 * @returns the folder of the project
 */
export async function installConsumer(folder: string, tarballs: readonly Tarball[]): Promise<string> {
  const dependencies = Object.fromEntries(tarballs.map(({ source, file }) => [source.manifest.name, `file:${file}`]));
  const overrides = Object.fromEntries(Object.keys(dependencies).map((name) => [name, `$${name}`]));
  mkdirSync(folder, { recursive: true });
  const manifest = { name: "consumer", private: true, type: "module", dependencies, overrides };
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest, undefined, 2));
  const options = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"];
  await mustSucceed("npm", ["install", ...options], { cwd: folder });
  return folder;
}
