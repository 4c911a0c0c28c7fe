import { Worker } from "node:worker_threads";
import { CodedError } from "@varve/errors";
import type { HashNews, HashOrder } from "./hash-wire.ts";

/** What a job is told of its thread. */
export interface HashListener {
  onNews(news: HashNews): void;
  /** The thread has ended by itself, and with it all it knew. */
  onDeath(cause: CodedError): void;
}

/** One thread that hashes files, for all stores of the process. */
export class HashThread {
  readonly #listeners: Map<number, HashListener> = new Map();
  #worker: Worker | undefined;
  #users = 0;
  #lastJob = 0;
  #waits = 0;

  /** A store that may want hashing. The thread itself starts with the first job. */
  enter(): void {
    this.#users += 1;
  }

  /** The thread ends with its last store. */
  async leave(): Promise<void> {
    this.#users -= 1;
    if (this.#users > 0) return;
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }

  /** Starts to listen, and gives the number of the job. */
  add(listener: HashListener): number {
    this.#lastJob += 1;
    this.#listeners.set(this.#lastJob, listener);
    return this.#lastJob;
  }

  remove(job: number): void {
    this.#listeners.delete(job);
  }

  order(order: HashOrder): void {
    this.#worker ??= this.#start();
    this.#worker.postMessage(order);
  }

  /** Whether a job that was opened is known to a living thread. */
  get runs(): boolean {
    return this.#worker !== undefined;
  }

  /** Keeps the process alive until `release`: somebody waits for an answer. */
  hold(): () => void {
    this.#waits += 1;
    this.#worker?.ref();
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#waits -= 1;
      if (this.#waits === 0) this.#worker?.unref();
    };
  }

  #start(): Worker {
    const ending = import.meta.url.endsWith(".ts") ? "ts" : "js";
    const url = new URL(`./hash-worker.${ending}`, import.meta.url);
    const worker = new Worker(url, { name: "varve-hash", execArgv: [] });
    worker.on("message", (news: HashNews) => this.#listeners.get(news.job)?.onNews(news));
    worker.on("error", (error) => this.#died(worker, error));
    worker.on("exit", (code) => this.#died(worker, new Error(`exit code ${code}`)));
    if (this.#waits === 0) worker.unref();
    return worker;
  }

  /** The next order starts another thread. */
  #died(worker: Worker, cause: unknown): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    const error = new CodedError("ERR_INTERNAL", "hash thread: ended unexpectedly", { cause });
    for (const listener of this.#listeners.values()) listener.onDeath(error);
  }
}

/** The one of this process: threads are too heavy for one a store. */
export const hashThread: HashThread = new HashThread();
