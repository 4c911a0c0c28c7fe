import { spawn } from "node:child_process";
import { join } from "node:path";

/** What one run of the command came to. */
export interface CommandRun {
  /** The exit status; `undefined` when a signal ended it. */
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command as a user of a clone starts it. */
export const launcher: string = join(import.meta.dirname, "../../../bin/varve");

/** Runs `bin/varve` as a user would. `onStart` is given what ends it with SIGKILL. */
export function varve(
  args: readonly string[],
  options: { readonly onStart?: (kill: () => void) => void } = {},
): Promise<CommandRun> {
  return new Promise((resolve, reject) => {
    const child = spawn(launcher, args, { stdio: ["ignore", "pipe", "pipe"] });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
    child.once("error", reject);
    options.onStart?.(() => void child.kill("SIGKILL"));
    child.once("close", (code) => {
      const [stdout, stderr] = [Buffer.concat(out).toString(), Buffer.concat(err).toString()];
      resolve({ status: code ?? undefined, stdout, stderr });
    });
  });
}
