import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { exec } from "@varve-tools/corpus";

/** The command in the form in which it is published: built, packed, and installed from the tarballs. */
export interface InstalledVarve {
  readonly command: readonly string[];
  /** Where it keeps compiled code. */
  readonly env: NodeJS.ProcessEnv;
  help(): Promise<string>;
}

const root = join(import.meta.dirname, "../../../..");

/** Installs it in `directory`, or takes the `bin/varve.js` that `VARVE_BENCH_VARVE` names. */
export async function installVarve(directory: string): Promise<InstalledVarve> {
  const program = process.env["VARVE_BENCH_VARVE"] ?? (await install(directory));
  const command = [process.execPath, program];
  const env = { NODE_COMPILE_CACHE: join(directory, "compiled") };
  return { command, env, help: async () => (await exec(process.execPath, [program, "pull", "--help"])).stdout };
}

async function install(directory: string): Promise<string> {
  console.error("building, packing and installing varve");
  const folder = join(directory, "packed");
  await mkdir(folder);
  const { stdout } = await exec(process.execPath, [join(root, "tools/packed-project/main.ts"), folder]);
  return join(stdout.trim(), "node_modules/varve/bin/varve.js");
}
