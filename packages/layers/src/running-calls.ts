import { CodedError } from "@varve/errors";

/** Long calls of a store. Whoever closes it aborts them, and waits until each has cleaned up. */
export class RunningCalls {
  readonly #running = new Set<Promise<unknown>>();
  readonly #stop = new AbortController();

  /** Runs a call with a signal that also `stop` aborts. */
  async run<T>(signal: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const running = work(signal === undefined ? this.#stop.signal : AbortSignal.any([signal, this.#stop.signal]));
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  async stop(): Promise<void> {
    this.#stop.abort(new CodedError("ERR_ABORTED", "layer store: was closed"));
    await Promise.allSettled(this.#running);
  }
}
