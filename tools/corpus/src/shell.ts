import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface Ran {
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program and fails with what it printed. */
export function exec(file: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
  return run(file, args, { env: { ...process.env, ...env }, maxBuffer: 1 << 28 });
}

/**
 * Runs bash lines that stop at the first failure. `args` arrive as `$1`, `$2`, …
 *
 * `--norc`: with a socket as its input, as Node gives it, bash may take itself for a remote shell and read the user's settings.
 */
export function bash(script: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
  return exec("bash", ["--norc", "-euo", "pipefail", "-c", script, "bash", ...args], { LC_ALL: "C.UTF-8", ...env });
}

/** The programs of `names` that are not installed. */
export async function missingPrograms(names: readonly string[]): Promise<string[]> {
  const found = await Promise.allSettled(names.map((name) => exec("bash", ["-c", 'command -v "$1"', "bash", name])));
  return names.filter((_, index) => found[index]?.status === "rejected");
}
