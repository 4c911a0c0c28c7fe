import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";
import type { Answer, Operation } from "./layer-operation.ts";
import type { Backend } from "./layer-store-scene.ts";

const program = join(import.meta.dirname, "layer-store-child.ts");

/** What a process is to do: an operation, or to look what a commit of a reference would be. */
export type Told = { readonly number: number } & (
  | { readonly operation: Operation; readonly look?: undefined }
  | { readonly operation?: undefined; readonly look: number }
);

/** What came of it. `failure` is an error that no operation may end with. */
export interface Word {
  readonly number: number;
  readonly answer?: Answer;
  readonly failure?: string;
}

export interface LayerProcessOptions {
  readonly backend: Backend;
  readonly root: string;
  /** Where Node keeps what it has compiled. */
  readonly compiled: string;
}

/** A process that has stores open, and can be killed. */
export class LayerProcess {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #waiting = new Map<number, PromiseWithResolvers<Answer>>();
  readonly #ended: Promise<void>;
  #last = 0;

  private constructor(child: ChildProcessByStdio<Writable, Readable, Readable>) {
    this.#child = child;
    // A write to a process that was killed.
    child.stdin.on("error", () => undefined);
    createInterface(child.stdout).on("line", (line) => this.#hear(JSON.parse(line)));
    this.#ended = this.#end(text(child.stderr));
  }

  /** Resolves when its threads are up. */
  static async start({ backend, compiled, root }: LayerProcessOptions): Promise<LayerProcess> {
    const child = spawn(process.execPath, [program, backend, root], {
      env: { ...process.env, NODE_COMPILE_CACHE: compiled },
      stdio: ["pipe", "pipe", "pipe"],
    });
    const started = new LayerProcess(child);
    await started.#answer(0);
    return started;
  }

  perform(operation: Operation): Promise<Answer> {
    return this.#tell((number) => ({ number, operation }));
  }

  look(reference: number): Promise<string> {
    return this.#tell((number) => ({ number, look: reference }));
  }

  /** Resolves when nothing of it is left. */
  async kill(): Promise<void> {
    for (const { promise } of this.#waiting.values()) promise.catch(() => undefined);
    this.#child.kill("SIGKILL");
    await this.#ended;
  }

  #tell(what: (number: number) => Told): Promise<Answer> {
    this.#last += 1;
    const told = what(this.#last);
    const answer = this.#answer(told.number);
    this.#child.stdin.write(`${JSON.stringify(told)}\n`);
    return answer;
  }

  async #answer(number: number): Promise<Answer> {
    const waiting = Promise.withResolvers<Answer>();
    this.#waiting.set(number, waiting);
    try {
      return await waiting.promise;
    } finally {
      this.#waiting.delete(number);
    }
  }

  async #end(complaints: Promise<string>): Promise<void> {
    await once(this.#child, "close");
    const error = new Error(`the process has ended: ${await complaints}`);
    for (const { reject } of this.#waiting.values()) reject(error);
  }

  #hear({ answer, failure, number }: Word): void {
    const waiting = this.#waiting.get(number);
    if (answer !== undefined) waiting?.resolve(answer);
    else waiting?.reject(new Error(failure));
  }
}
