import { Worker } from "node:worker_threads";
import { CodedError } from "@varve/errors";
import type { CopyRequest } from "./copy-tree.ts";
import { unpackError } from "./packed-error.ts";
import type { PackedError } from "./packed-error.ts";

/** What the worker is sent. */
export interface CopyJob {
  readonly request: CopyRequest;
  /** One 32-bit number; anything but 0 asks to stop. */
  readonly stop: SharedArrayBuffer;
}

/** What the worker answers. */
export interface CopyReply {
  readonly error: PackedError | undefined;
}

const script = import.meta.url.endsWith(".ts") ? "./copy-worker.ts" : "./copy-worker.js";

/**
 * Copies trees in a thread, one after another: two copies on one disk only slow each other down. The thread starts with the
 * first copy and does not keep the process alive.
 */
export class CopyThread {
  #worker: Worker | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #stop: Int32Array<SharedArrayBuffer> | undefined;
  #closed = false;

  /** Rejects with the signal's reason only when nothing is written any more. */
  copy(request: CopyRequest, signal?: AbortSignal): Promise<void> {
    const done = this.#last.then(() => this.#run(request, signal));
    this.#last = done.catch(() => undefined);
    return done;
  }

  /** Stops what is being copied; its caller gets ERR_ABORTED. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#stop !== undefined) Atomics.store(this.#stop, 0, 1);
    // A thread that is ended in the middle of a copy would leave its descriptors open in this process.
    await this.#last;
    await this.#worker?.terminate();
  }

  async #run(request: CopyRequest, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    const worker = this.#start();
    const stop = new Int32Array(new SharedArrayBuffer(4));
    const abort = (): void => {
      Atomics.store(stop, 0, 1);
    };
    signal?.addEventListener("abort", abort);
    this.#stop = stop;
    worker.ref();
    try {
      const job: CopyJob = { request, stop: stop.buffer };
      worker.postMessage(job);
      const { error } = await answerOf(worker);
      signal?.throwIfAborted();
      if (error === undefined) return;
      throw this.#closed ? closedWhileCopying() : unpackError(error);
    } finally {
      worker.unref();
      this.#stop = undefined;
      signal?.removeEventListener("abort", abort);
    }
  }

  #start(): Worker {
    if (this.#closed) throw new CodedError("ERR_FAILED_PRECONDITION", "native snapshotter: closed");
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

function answerOf(worker: Worker): Promise<CopyReply> {
  const { promise, resolve, reject } = Promise.withResolvers<CopyReply>();
  const exited = (): void => {
    reject(closedWhileCopying());
  };
  worker.once("message", resolve).once("error", reject).once("exit", exited);
  return promise.finally(() => {
    worker.off("message", resolve).off("error", reject).off("exit", exited);
  });
}

function closedWhileCopying(): CodedError {
  return new CodedError("ERR_ABORTED", "native snapshotter: closed while it was copying");
}
