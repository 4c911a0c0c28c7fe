import type { CallOptions } from "@varve/content";
import { CodedError } from "@varve/errors";

/** The calls of a client that are under way. Whoever closes it aborts them, and waits until each has cleaned up. */
export class RunningCalls {
  readonly #subject: string;
  readonly #running = new Set<Promise<unknown>>();
  readonly #stop = new AbortController();

  /** @param subject names the client in messages */
  constructor(subject: string) {
    this.#subject = subject;
  }

  /** Runs a call with a signal that also `stop` aborts. */
  async run<T>(options: CallOptions, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (this.#stop.signal.aborted) throw new CodedError("ERR_FAILED_PRECONDITION", `${this.#subject}: is closed`);
    const { signal } = options;
    signal?.throwIfAborted();
    const running = work(signal === undefined ? this.#stop.signal : AbortSignal.any([signal, this.#stop.signal]));
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  /** The same for what is read step by step. An abort ends it also while its reader reads no more. */
  async *stream<T>(
    options: CallOptions,
    open: (signal: AbortSignal) => AsyncGenerator<T, void, undefined>,
  ): AsyncGenerator<T, void, undefined> {
    const ended = Promise.withResolvers<void>();
    const end = (): void => ended.resolve();
    const signal = await new Promise<AbortSignal>((resolve, reject) => {
      const running = this.run(options, (one) => {
        resolve(one);
        return ended.promise;
      });
      running.catch(reject);
    });
    const source = open(signal);
    // What it holds open must not wait for a reader that never comes back.
    const onAbort = (): void => void source.return().then(end, end);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      signal.throwIfAborted();
      yield* source;
      // For a reader that does come back this is not the end of the data.
      signal.throwIfAborted();
    } finally {
      signal.removeEventListener("abort", onAbort);
      end();
    }
  }

  /** Refuses calls from now on, aborts those that run, and waits for them. */
  async stop(): Promise<void> {
    this.#stop.abort(new CodedError("ERR_ABORTED", `${this.#subject}: was closed`));
    await Promise.allSettled(this.#running);
  }
}
