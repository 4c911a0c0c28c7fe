import { CodedError } from "@varve/errors";
import { Worker } from "node:worker_threads";
import type { Answer } from "./wire.ts";
import { unpackError } from "./wire.ts";

interface Pending {
  readonly settle: (answer: Answer<never>) => void;
  readonly reject: (error: Error) => void;
}

/** A worker thread that does one job at a time. It keeps the process alive only while it works. */
export class JobWorker<Job> {
  readonly #worker: Worker;
  #pending: Pending | undefined;
  #dead: Error | undefined;

  /** @param name the file beside this one, without its ending: `.ts` in development, `.js` when packed */
  constructor(name: string) {
    const ending = import.meta.url.endsWith(".ts") ? "ts" : "js";
    this.#worker = new Worker(new URL(`./${name}.${ending}`, import.meta.url), { name, execArgv: [] });
    this.#worker.on("message", (answer: Answer<never>) => this.#settle(answer));
    this.#worker.on("error", (error) => this.#die(error));
    this.#worker.on("exit", (code) => this.#die(new Error(`exit code ${code}`)));
    this.#worker.unref();
  }

  /** Whether the thread has ended, so that this object is of no further use. */
  get isDead(): boolean {
    return this.#dead !== undefined;
  }

  run<Result>(job: Job): Promise<Result> {
    if (this.#dead !== undefined) return Promise.reject(this.#dead);
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    const settle = (answer: Answer<Result>): void => {
      if (answer.ok) resolve(answer.value);
      else reject(unpackError(answer.error));
    };
    this.#pending = { settle, reject };
    this.#worker.ref();
    this.#worker.postMessage(job);
    return promise;
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #settle(answer: Answer<never>): void {
    const pending = this.#pending;
    this.#pending = undefined;
    this.#worker.unref();
    pending?.settle(answer);
  }

  #die(cause: unknown): void {
    this.#dead ??= new CodedError("ERR_INTERNAL", "worker thread: ended unexpectedly", { cause });
    this.#pending?.reject(this.#dead);
    this.#pending = undefined;
  }
}
