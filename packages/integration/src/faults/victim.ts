import { spawn } from "node:child_process";
import type { ChildProcess, ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";
import type { History } from "./scenario.ts";
import { callsIn } from "./system-call.ts";
import type { SystemCall } from "./system-call.ts";

/** Which of the threads that touch files: the one of JavaScript, the one for what is asynchronous, or any of the others. */
export type Thread = "main" | "pool" | "worker";

/** What strace does to the threads. It counts for each thread, and for each kind of system call, by itself. */
export interface Trace {
  /** Default: all of the process. Workers start when they are needed, so for one of them all are looked at, too. */
  readonly thread?: Thread | undefined;
  /** The system calls that are written down: what comes after `-e trace=`. */
  readonly calls: string;
  /** What comes after `-e inject=`, such as `rename:signal=SIGKILL:when=3`. Default: nothing is done to them. */
  readonly inject?: string | undefined;
  /** Only calls about this file are written down, and count. Default: all. */
  readonly file?: string | undefined;
  /** Nothing counts up to the end of this step. Default: everything counts. */
  readonly after?: string | undefined;
  /** Where strace writes. */
  readonly log: string;
}

export interface Failure {
  /** The last step before it. */
  readonly after: string;
  readonly name?: string | undefined;
  readonly code?: string | undefined;
  readonly errno?: number | undefined;
  readonly message: string;
  readonly stack?: string | undefined;
}

/** What became of a process that worked on a store. */
export interface Outcome {
  /** `crashed`: it ended by itself, and said neither that it was done nor why it was not. */
  readonly end: "done" | "failed" | "killed" | "crashed";
  /** The steps that it acknowledged. */
  readonly steps: readonly string[];
  readonly failure?: Failure | undefined;
  readonly threads: Readonly<Record<"main" | "pool", number | undefined>>;
  /** What the traced threads called. */
  readonly calls: readonly SystemCall[];
  readonly stderr: string;
}

export interface WorkOptions {
  readonly trace?: Trace | undefined;
  /** Called when the process is about to begin its work, which waits for it. */
  readonly onStart?: ((child: ChildProcess) => Promise<void> | void) | undefined;
  /** Told of each step when it is acknowledged. */
  readonly onStep?: ((step: string) => void) | undefined;
}

const program = join(import.meta.dirname, "child.ts");
/** More seconds than this is a hang: a hundred times what the longest work takes, for a machine that is busy with other things. */
const patience = 200;

/** Processes that play one scenario. */
export class Crew {
  readonly #scenario: string;
  readonly #environment: NodeJS.ProcessEnv;

  /** @param base where Node may keep what it has compiled: a process then starts in a third of the time */
  constructor(scenario: string, base: string) {
    this.#scenario = scenario;
    this.#environment = { ...process.env, NODE_COMPILE_CACHE: join(base, "compiled") };
  }

  /** Makes a store with what must survive everything. */
  async seed(root: string): Promise<void> {
    const said = await this.#run(root, "seed");
    if (said !== "") throw new Error(`seed: ${said}`);
  }

  /**
   * Lets a process work on a store, and something happen to it. It has loaded its code before the first call that counts.
   * Fails if the process hangs.
   */
  async work(root: string, options: WorkOptions = {}): Promise<Outcome> {
    const { trace, onStart } = options;
    const env = { ...this.#environment, UV_THREADPOOL_SIZE: "1", VARVE_PAUSE: trace?.after ?? "" };
    const child = spawn(process.execPath, [program, this.#scenario, root, "work"], { env });
    const closed = once(child, "close");
    const stderr = text(child.stderr);
    const report = new Report(child, options.onStep);
    const thread = await report.ready;
    // It may be dead before it has read what it is told.
    child.stdin.on("error", () => undefined);
    if (trace?.after !== undefined) {
      child.stdin.write("go\n");
      await report.paused;
    }
    const traced = trace && (await attach(trace, trace.thread === "pool" ? thread : child.pid));
    await onStart?.(child);
    child.stdin.end("go\n");
    let hung = false;
    const timer = setTimeout(() => {
      hung = true;
      child.kill("SIGKILL");
    }, patience * 1000);
    const [, signal] = await closed;
    clearTimeout(timer);
    await traced?.();
    if (hung) throw new Error(`hung for ${patience} s after the steps ${report.steps.join(", ")}`);
    const calls = trace === undefined ? [] : callsIn(await readFile(trace.log, "utf8"), root);
    const end = signal === "SIGKILL" ? "killed" : report.end;
    const { steps, failure } = report;
    return { end, steps, failure, threads: { main: child.pid, pool: thread }, calls, stderr: await stderr };
  }

  /** Lets a new process do the whole work on a store that another has worked on. Tells what is wrong. */
  async finish(root: string, history: History): Promise<string[]> {
    const said = await this.#run(root, "finish", JSON.stringify(history));
    const line = said.split("\n").find((one) => one.startsWith("problems "));
    return line === undefined ? [`the next process crashed: ${said}`] : JSON.parse(line.slice("problems ".length));
  }

  async #run(root: string, ...args: readonly string[]): Promise<string> {
    const command = [program, this.#scenario, root, ...args];
    const child = spawn(process.execPath, command, { env: this.#environment, stdio: ["ignore", "pipe", "pipe"] });
    const said = Promise.all([text(child.stdout), text(child.stderr)]);
    const timer = setTimeout(() => child.kill("SIGKILL"), 2 * patience * 1000);
    await once(child, "close");
    clearTimeout(timer);
    return (await said).join("");
  }
}

/** What a process says about itself, line by line. */
class Report {
  readonly steps: string[] = [];
  readonly ready: Promise<number>;
  readonly paused: Promise<void>;
  end: "done" | "failed" | "crashed" = "crashed";
  failure: Failure | undefined;
  readonly #onStep: WorkOptions["onStep"];
  #isReady: (thread: number) => void = () => undefined;
  #isPaused: () => void = () => undefined;

  constructor(child: ChildProcessByStdio<Writable, Readable, Readable>, onStep: WorkOptions["onStep"]) {
    this.#onStep = onStep;
    this.ready = new Promise((resolve, reject) => {
      this.#isReady = resolve;
      child.once("close", () => reject(new Error("the process ended before it began")));
    });
    this.paused = new Promise((resolve, reject) => {
      this.#isPaused = resolve;
      child.once("close", () => reject(new Error("the process ended before it came so far")));
    });
    // Else they would count as unhandled where the process ends and nobody waits for them.
    this.ready.catch(() => undefined);
    this.paused.catch(() => undefined);
    createInterface(child.stdout).on("line", (line) => this.#hear(line));
  }

  #hear(line: string): void {
    const gap = line.indexOf(" ");
    const [word, value] = [line.slice(0, gap), JSON.parse(line.slice(gap + 1))];
    if (word === "ready") {
      this.#isReady(value);
    } else if (word === "paused") {
      this.#isPaused();
    } else if (word === "did") {
      this.steps.push(value);
      this.#onStep?.(value);
    } else if (word === "failed") {
      this.end = "failed";
      this.failure = value;
    } else if (word === "done") {
      this.end = "done";
    }
  }
}

/** Resolves when strace looks at the thread, or at all of the process, with what waits for the end of strace. */
async function attach(trace: Trace, id: number | undefined): Promise<() => Promise<unknown>> {
  const { thread, calls, inject, file, log } = trace;
  const effect = inject === undefined ? [] : ["-e", `inject=${inject}`];
  const scope = thread === undefined || thread === "worker" ? ["-f"] : [];
  const about = file === undefined ? [] : ["-P", file];
  const args = [...scope, ...about, "-y", "-s", "0", "-o", log, "-e", `trace=${calls}`, ...effect, "-p", String(id)];
  const tracer = spawn("strace", args, { stdio: ["ignore", "ignore", "pipe"] });
  const ended = once(tracer, "close");
  const said: string[] = [];
  await new Promise<void>((resolve, reject) => {
    createInterface(tracer.stderr).on("line", (line) => {
      said.push(line);
      if (/ attached( with \d+ threads)?$/.test(line)) resolve();
    });
    tracer.once("error", reject);
    tracer.once("close", () => reject(new Error(`strace: ${said.join("; ")}`)));
  });
  return () => ended;
}
