import { CodedError } from "@varve/errors";
import { Worker } from "node:worker_threads";
import type { Answer } from "./wire.ts";
import { unpackError } from "./wire.ts";

interface Pending {
  readonly settle: (answer: Answer<never>) => void;
  readonly reject: (error: unknown) => void;
}

/** What these threads allocate lives for one entry or block: room for more costs each of them memory and saves no time. */
const resourceLimits = { maxYoungGenerationSizeMb: 3 };

/** A thread that does one job at a time. It starts with the first, and keeps the process alive only while it works. */
export class JobThread<Job> {
  readonly #name: string;
  #worker: Worker | undefined;
  #pending: Pending | undefined;
  #dead: Error | undefined;

  /** @param name the file beside this one, without its ending: `.ts` in development, `.js` when packed */
  constructor(name: string) {
    this.#name = name;
  }

  /** Whether the thread has ended, so that this object is of no further use. */
  get isDead(): boolean {
    return this.#dead !== undefined;
  }

  /** Starts the thread ahead of its first job. */
  start(): Worker {
    if (this.#worker !== undefined) return this.#worker;
    const ending = import.meta.url.endsWith(".ts") ? "ts" : "js";
    const file = new URL(`./${this.#name}.${ending}`, import.meta.url);
    const worker = new Worker(file, { name: this.#name, execArgv: [], resourceLimits });
    worker.on("message", (answer: Answer<never>) => this.#settle(answer));
    worker.on("error", (error) => this.#die(error));
    // An answer that cannot be read is lost, and nobody would ever hear of its job.
    worker.on("messageerror", (error) => this.#die(error));
    worker.on("exit", (code) => this.#die(new Error(`exit code ${code}`)));
    worker.unref();
    this.#worker = worker;
    return worker;
  }

  /** Rejects with what the job has thrown, and with ERR_INTERNAL when the thread ends. Never throws. */
  run<Result>(job: Job): Promise<Result> {
    if (this.#dead !== undefined) return Promise.reject(this.#dead);
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    const settle = (answer: Answer<Result>): void => {
      if (answer.ok) resolve(answer.value);
      else reject(unpackError(answer.error));
    };
    try {
      const worker = this.start();
      worker.postMessage(job);
      worker.ref();
      this.#pending = { settle, reject };
    } catch (error) {
      // It cannot be copied to a thread, or there is no thread. Thrown, this would leave the other threads of the layer at work.
      reject(error);
    }
    return promise;
  }

  async close(): Promise<void> {
    await this.#worker?.terminate();
  }

  #settle(answer: Answer<never>): void {
    const pending = this.#pending;
    this.#pending = undefined;
    this.#worker?.unref();
    pending?.settle(answer);
  }

  #die(cause: unknown): void {
    this.#dead ??= new CodedError("ERR_INTERNAL", "worker thread: ended unexpectedly", { cause });
    this.#pending?.reject(this.#dead);
    this.#pending = undefined;
  }
}
