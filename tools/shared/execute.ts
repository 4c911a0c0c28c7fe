import { spawn } from "node:child_process";
import type { SpawnOptions } from "node:child_process";
import { delimiter, join } from "node:path";
import { root } from "./workspace.ts";

export interface ExecuteOptions {
  readonly cwd?: string | undefined;
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** Kills the command, and everything that it started, after so many milliseconds. */
  readonly timeout?: number | undefined;
  /** Shows the output as it comes instead of collecting it. */
  readonly show?: boolean | undefined;
  /** With `show`: also gets what is shown. */
  readonly onOutput?: ((chunk: string) => void) | undefined;
}

export interface ExecuteResult {
  readonly ok: boolean;
  /** `exit status 1`, `SIGKILL`, `no end after 30 s`. */
  readonly status: string;
  /** Standard output and error as they came; empty with `show`. */
  readonly output: string;
}

/** The environment of every tool: ours first, nobody phones home. */
const toolEnvironment: Readonly<Record<string, string | undefined>> = {
  ...process.env,
  PATH: `${join(root, "node_modules", ".bin")}${delimiter}${process.env["PATH"] ?? ""}`,
  DO_NOT_TRACK: "1",
  TURBO_TELEMETRY_DISABLED: "1",
};

/** Runs a command to its end; a failing command is a result, not an error. */
export function execute(
  command: string,
  args: readonly string[],
  options: ExecuteOptions = {},
): Promise<ExecuteResult> {
  const spawnOptions: SpawnOptions = {
    cwd: options.cwd ?? root,
    env: { ...toolEnvironment, ...options.env },
    stdio: options.show && options.onOutput === undefined ? "inherit" : ["ignore", "pipe", "pipe"],
    // A group of its own, so that a command that hangs can be killed with all its children.
    detached: options.timeout !== undefined,
  };
  const { promise, resolve, reject } = Promise.withResolvers<ExecuteResult>();
  const child = spawn(command, args, spawnOptions);
  let output = "";
  let late = false;
  const timer = options.timeout === undefined ? undefined : setTimeout(stop, options.timeout);
  function stop(): void {
    late = true;
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  }
  const onData = (chunk: string, shown: NodeJS.WriteStream): void => {
    if (options.show === true) shown.write(chunk);
    else output += chunk;
    options.onOutput?.(chunk);
  };
  child.stdout?.setEncoding("utf8").on("data", (chunk: string) => onData(chunk, process.stdout));
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => onData(chunk, process.stderr));
  child.once("error", reject);
  child.once("close", (code, signal) => {
    clearTimeout(timer);
    const ended = signal ?? `exit status ${code}`;
    const status = late ? `no end after ${(options.timeout ?? 0) / 1000} s` : ended;
    resolve({ ok: code === 0 && !late, status, output });
  });
  return promise;
}

/** Calls `work` for each item, at most `limit` at a time, and keeps the order of the results. */
export async function eachLimited<Item, Result>(
  items: readonly Item[],
  limit: number,
  work: (item: Item) => Promise<Result>,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  const entries = items.entries();
  async function worker(): Promise<void> {
    for (const [index, item] of entries) results[index] = await work(item);
  }
  await Promise.all(Array.from({ length: limit }, worker));
  return results;
}
