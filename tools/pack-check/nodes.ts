import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mustSucceed } from "./must-succeed.ts";
import { root } from "../shared/workspace.ts";

/** One Node to try the packages on. */
export interface TestNode {
  readonly version: string;
  readonly executable: string;
}

/** The oldest that the packages allow, the one we work with, and the newest line. */
const versions = ["22.19.0", "24.21.0", "26.10.0"];

/** Fetches the Nodes from npm; they are kept in `node_modules/.cache`. */
export async function installNodes(): Promise<readonly TestNode[]> {
  const nodes: TestNode[] = [];
  for (const version of versions) {
    const folder = join(root, "node_modules/.cache/nodes", version);
    const name = `node-linux-${process.arch}`;
    const executable = join(folder, "node_modules", name, "bin/node");
    if (!existsSync(executable)) await install(folder, `${name}@${version}`);
    nodes.push({ version, executable });
  }
  return nodes;
}

async function install(folder: string, name: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true }));
  const options = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"];
  await mustSucceed("npm", ["install", ...options, name], { cwd: folder });
}
