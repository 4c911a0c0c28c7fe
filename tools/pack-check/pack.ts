import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { mustSucceed } from "./must-succeed.ts";
import { workspacePackages } from "../shared/workspace.ts";
import type { WorkspacePackage } from "../shared/workspace.ts";

/** A packed package. */
export interface Tarball {
  readonly source: WorkspacePackage;
  /** Absolute path of the `.tgz`. */
  readonly file: string;
}

/** Builds all public packages and packs them as they would be published. */
export async function packAll(folder: string): Promise<readonly Tarball[]> {
  mkdirSync(folder, { recursive: true });
  await mustSucceed("turbo", ["run", "build", "--output-logs=errors-only"]);
  const sources = workspacePackages().filter(({ manifest }) => manifest.private !== true);
  const filters = sources.map(({ manifest }) => `--filter=${manifest.name}`);
  await mustSucceed("pnpm", ["--recursive", ...filters, "pack", "--pack-destination", folder]);
  return sources.map((source) => ({ source, file: join(folder, tarballName(source)) }));
}

function tarballName({ manifest }: WorkspacePackage): string {
  return `${manifest.name.replace("@", "").replace("/", "-")}-${manifest.version}.tgz`;
}

/** Names of the values, types left out, that the entry point of a package exports. */
export function exportedValues({ path }: WorkspacePackage): readonly string[] {
  const text = readFileSync(join(path, "src/index.ts"), "utf8");
  return Array.from(text.matchAll(/^export \{([^}]*)\}/gm), ([, list = ""]) => list.split(","))
    .flat()
    .map((entry) => entry.replaceAll(/\/\/.*$/gm, "").trim())
    .filter((entry) => entry !== "" && !entry.startsWith("type "))
    .map((entry) => entry.split(" as ").at(-1) ?? entry)
    .toSorted();
}
