import { Worker } from "node:worker_threads";
import type { CopyRequest } from "./copy-tree.ts";
import type { PackedError } from "./packed-error.ts";

/** What a thread is sent. */
export interface CopyJob {
  readonly request: CopyRequest;
  /** `start`: to copy the tree; `help`: to take what the one that started leaves to others. */
  readonly part: "start" | "help";
  /** The memory of `SharedWork`. */
  readonly memory: SharedArrayBuffer;
}

/** What a thread says: `much` at most once and before the others, which end the job. */
export type CopyMessage =
  | { readonly kind: "much" }
  | { readonly kind: "done" }
  | { readonly kind: "stopped" }
  | { readonly kind: "failed"; readonly error: PackedError };

export type CopyOutcome = Exclude<CopyMessage, { readonly kind: "much" }>;

const script = import.meta.url.endsWith(".ts") ? "./copy-worker.ts" : "./copy-worker.js";

/** A thread for one copy at a time. It starts with the first one, also after its end, and does not keep the process alive. */
export class CopyThread {
  #worker: Worker | undefined;

  /** Rejects when the thread dies. */
  async run(job: CopyJob, onMuch: () => void): Promise<CopyOutcome> {
    const worker = this.#start();
    worker.ref();
    try {
      worker.postMessage(job);
      return await outcomeOf(worker, onMuch);
    } finally {
      worker.unref();
    }
  }

  /** Not in the middle of a copy: that would leave its descriptors open in this process. */
  end(): void {
    void this.#worker?.terminate();
    this.#worker = undefined;
  }

  #start(): Worker {
    if (this.#worker === undefined) {
      // Not with the program's own flags: `--input-type` would make it refuse a file.
      const worker = new Worker(new URL(script, import.meta.url), { execArgv: [] });
      // Who waits for an answer hears of it; without any listener the error would end the process.
      worker.on("error", () => undefined);
      worker.once("exit", () => {
        if (this.#worker === worker) this.#worker = undefined;
      });
      this.#worker = worker;
    }
    return this.#worker;
  }
}

function outcomeOf(worker: Worker, onMuch: () => void): Promise<CopyOutcome> {
  const { promise, resolve, reject } = Promise.withResolvers<CopyOutcome>();
  const heard = (message: CopyMessage): void => {
    if (message.kind === "much") onMuch();
    else resolve(message);
  };
  const exited = (): void => {
    reject(new Error("native snapshotter: the thread that copies has ended"));
  };
  worker.on("message", heard).once("error", reject).once("exit", exited);
  return promise.finally(() => {
    worker.off("message", heard).off("error", reject).off("exit", exited);
  });
}
