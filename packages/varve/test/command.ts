import { spawn } from "node:child_process";
import type { ChildProcess, ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";

/** What runs the command from its sources. */
export const main: string = join(import.meta.dirname, "../src/main.ts");
// As bin/varve has it: half of the start is saved.
const compiled = join(import.meta.dirname, "../../../node_modules/.cache/varve");

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: Uint8Array | undefined;
  /** What to put before the command: `setpriv …`. */
  readonly before?: readonly string[] | undefined;
  /** Arguments for node. */
  readonly node?: readonly string[] | undefined;
  /** On top of this process's environment. */
  readonly env?: NodeJS.ProcessEnv | undefined;
}

/** No credentials of whoever runs the tests. */
const nobody: NodeJS.ProcessEnv = {
  HOME: "/nonexistent",
  DOCKER_CONFIG: undefined,
  DOCKER_AUTH_CONFIG: undefined,
  REGISTRY_AUTH_FILE: undefined,
  XDG_CONFIG_HOME: undefined,
  XDG_RUNTIME_DIR: undefined,
};

/** Runs `varve` with these arguments to its end. */
export async function varve(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const child = start(args, options);
  child.stdin.end(options.input);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), ended(child)]);
  return { code: child.exitCode, stdout, stderr };
}

/** Starts `varve` with pipes for its three streams. */
export function start(
  args: readonly string[],
  { before = [], env = {}, node = [] }: RunOptions = {},
): ChildProcessWithoutNullStreams {
  const [file = "", ...rest] = [...before, process.execPath, ...node, main, ...args];
  return spawn(file, rest, { env: { NODE_COMPILE_CACHE: compiled, ...process.env, ...nobody, NO_COLOR: "1", ...env } });
}

export async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "close");
}

/** Parses the one object that `--json` prints. */
export function parsed(outcome: Outcome): unknown {
  return JSON.parse(outcome.stdout);
}
