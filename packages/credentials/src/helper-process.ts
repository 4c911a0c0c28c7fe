import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { CodedError } from "@varve/errors";

export type HelperAction = "get" | "store" | "erase" | "list";

export interface HelperRun {
  /** What stands behind `docker-credential-`. */
  readonly name: string;
  readonly action: HelperAction;
  readonly input: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
}

export interface HelperOutcome {
  /** `undefined`: a signal ended it. */
  readonly status: number | undefined;
  /** It may hold secrets, also when the helper failed. */
  readonly output: string;
}

const maxOutput = 1024 * 1024;
// A helper may leave something running that holds its output open, an agent of a keyring say.
const drainTime = 1000;

/** The name of a helper's program. */
export function programOf(name: string): string {
  return `docker-credential-${name}`;
}

/** Whether a name can be that of a helper: it must not lead to another directory. */
export function isHelperName(name: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$/.test(name);
}

/**
 * Runs a credential helper without a shell, in a process group of its own, which is killed when it takes too long, says too
 * much or the caller gives up. Its error output goes nowhere.
 *
 * @throws ERR_DEADLINE_EXCEEDED it did not end in time
 * @throws ERR_RESOURCE_EXHAUSTED it wrote more than 1 MiB
 */
export function runHelper(run: HelperRun): Promise<HelperOutcome> {
  const { name, action, input, environment, timeout, signal } = run;
  signal?.throwIfAborted();
  const program = programOf(name);
  return new Promise((resolve, reject) => {
    const child = spawn(program, [action], {
      stdio: ["pipe", "pipe", "ignore"],
      env: { ...environment },
      detached: process.platform !== "win32",
      windowsHide: true,
    });
    const chunks: Buffer[] = [];
    let size = 0;
    let drain: NodeJS.Timeout | undefined;
    const settle = (act: () => void): void => {
      clearTimeout(timer);
      clearTimeout(drain);
      signal?.removeEventListener("abort", abort);
      child.stdout.destroy();
      child.stdin.destroy();
      act();
    };
    const fail = (error: unknown): void => {
      kill(child);
      settle(() => reject(error));
    };
    const finish = (code: number | null): void => {
      settle(() => resolve({ status: code ?? undefined, output: Buffer.concat(chunks, size).toString("utf8") }));
    };
    const abort = (): void => fail(signal?.reason);
    const timer = setTimeout(() => {
      fail(new CodedError("ERR_DEADLINE_EXCEEDED", `${program} ${action}: no answer within ${timeout} ms`));
    }, timeout);
    signal?.addEventListener("abort", abort, { once: true });
    child.stdout.on("data", (chunk: Buffer) => {
      size += chunk.byteLength;
      if (size <= maxOutput) chunks.push(chunk);
      else fail(new CodedError("ERR_RESOURCE_EXHAUSTED", `${program} ${action}: more than ${maxOutput} bytes`));
    });
    // A helper that reads nothing is right for it.
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
    child.once("error", (error) => settle(() => reject(error)));
    child.once("close", finish);
    child.once("exit", (code) => {
      drain = setTimeout(() => finish(code), drainTime);
    });
  });
}

function kill(child: ChildProcessByStdio<Writable, Readable, null>): void {
  if (child.pid === undefined) return;
  try {
    process.kill(process.platform === "win32" ? child.pid : -child.pid, "SIGKILL");
  } catch {
    // It is gone already.
  }
}
