import { CodedError } from "@varve/errors";

/** Ends a call. */
export interface RunningCallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** The long calls of something that can be closed: whoever closes it ends them, and waits until each has cleaned up. */
export interface RunningCalls {
  /**
   * Runs a call with a signal that also `stop` aborts.
   *
   * @throws ERR_FAILED_PRECONDITION `stop` was called before
   */
  run<T>(options: RunningCallOptions, work: (signal: AbortSignal) => Promise<T>): Promise<T>;
  /**
   * The same for what is read step by step. An abort ends it also while its reader reads no more; a reader that comes back finds
   * the reason of the abort, not the end.
   */
  stream<T>(
    options: RunningCallOptions,
    open: (signal: AbortSignal) => AsyncGenerator<T, void, undefined>,
  ): AsyncGenerator<T, void, undefined>;
  /** Refuses calls from now on, aborts those that run with ERR_ABORTED, and waits for them. */
  stop(): Promise<void>;
}

/** @param subject names what is closed, in messages */
export function createRunningCalls(subject: string): RunningCalls {
  return new StoppableCalls(subject);
}

class StoppableCalls implements RunningCalls {
  readonly #subject: string;
  readonly #running = new Set<Promise<unknown>>();
  readonly #stop = new AbortController();

  constructor(subject: string) {
    this.#subject = subject;
  }

  async run<T>({ signal }: RunningCallOptions, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (this.#stop.signal.aborted) throw new CodedError("ERR_FAILED_PRECONDITION", `${this.#subject}: is closed`);
    signal?.throwIfAborted();
    const running = work(signal === undefined ? this.#stop.signal : AbortSignal.any([signal, this.#stop.signal]));
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  async *stream<T>(
    options: RunningCallOptions,
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
    let onAbort: () => void = end;
    try {
      const source = open(signal);
      // What it holds open must not wait for a reader that never comes back.
      onAbort = () => void source.return().then(end, end);
      signal.addEventListener("abort", onAbort, { once: true });
      signal.throwIfAborted();
      yield* source;
      // For a reader that does come back this is not the end of the data.
      signal.throwIfAborted();
    } finally {
      signal.removeEventListener("abort", onAbort);
      end();
    }
  }

  async stop(): Promise<void> {
    this.#stop.abort(new CodedError("ERR_ABORTED", `${this.#subject}: was closed`));
    await Promise.allSettled(this.#running);
  }
}
