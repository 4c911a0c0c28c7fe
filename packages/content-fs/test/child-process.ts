import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("child.ts", import.meta.url));

/** Another process that uses a store: `child.ts` with these arguments. */
export class Child {
  readonly process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;

  /** @param command runs the process, such as strace with its options */
  constructor(args: readonly string[], command: readonly string[] = []) {
    const [file, ...rest] = [...command, process.execPath, program, ...args];
    this.process = spawn(file ?? "", rest, { stdio: ["pipe", "pipe", "inherit"] });
    this.#lines = createInterface(this.process.stdout)[Symbol.asyncIterator]();
  }

  async line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    return done === true ? "(ended)" : value;
  }

  say(line: string): void {
    this.process.stdin.write(`${line}\n`);
  }

  async kill(): Promise<void> {
    this.process.kill("SIGKILL");
    await this.ended();
  }

  async ended(): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) await once(this.process, "exit");
  }
}
