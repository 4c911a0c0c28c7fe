import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline/promises";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("child.ts", import.meta.url));

export interface Child extends AsyncDisposable {
  readonly process: ChildProcessByStdio<Writable, Readable, null>;
  /** The next line it prints. */
  line(): Promise<string>;
  /** Has it go on. */
  poke(): void;
  signal(signal: NodeJS.Signals): void;
  /** Its exit code, when it has ended by itself. */
  readonly ended: Promise<number | null>;
  kill(): Promise<void>;
}

/** Starts `child.ts` with these arguments. */
export function start(file: string, ...what: readonly string[]): Child {
  const child = spawn(process.execPath, [program, file, ...what], { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const ended = once(child, "exit").then(([code]): number | null => (typeof code === "number" ? code : null));
  const kill = async (): Promise<void> => {
    child.kill("SIGKILL");
    await ended;
  };
  return {
    process: child,
    line: async () => String((await lines.next()).value),
    poke: () => void child.stdin.write("\n"),
    signal: (signal) => void child.kill(signal),
    ended,
    kill,
    [Symbol.asyncDispose]: kill,
  };
}
