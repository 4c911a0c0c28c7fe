import { CodedError } from "@varve/errors";
import { EventQueue } from "./event-queue.ts";
import type { OnProgress, ProgressEvent } from "./progress.ts";

/** What an operation is started with so that it can be observed: the part of its options that `observe` provides. */
export interface ObservedOptions {
  readonly onProgress: OnProgress;
  readonly signal: AbortSignal;
}

export interface ObserveOptions {
  /** Aborts the operation, whose `result` then rejects with the signal's own reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * A running operation: its events, and what comes of it.
 *
 * The loop over the events ends when the operation does, by throwing the operation's error if it fails. Leaving it early aborts
 * the operation and goes on when it has stopped. There can be one loop; who only wants the result needs none.
 */
export interface Observed<T> extends AsyncIterable<ProgressEvent> {
  /** Settles as the operation does. Nobody has to handle its rejection who takes the error from the loop. */
  readonly result: Promise<T>;
}

/**
 * Starts `operation` at once and lets its progress be read by `for await`:
 *
 * ```ts
 * const pulling = observe((options) => client.pull("debian", options));
 * for await (const event of pulling) show(event);
 * const { chainId } = await pulling.result;
 * ```
 *
 * The operation never waits for its reader. Of events that nobody has taken yet, only the newest of `waiting`, `resumed`,
 * `fetching`, `applying`, `applied`, `pushing` and `retry` is kept for each object, and of those none from before its newest
 * `retry`, so that memory is bounded by the number of objects; all others are kept. What is kept comes in the order it happened.
 */
export function observe<T>(
  operation: (options: ObservedOptions) => Promise<T>,
  options: ObserveOptions = {},
): Observed<T> {
  return new RunningOperation(operation, options);
}

class RunningOperation<T> implements Observed<T> {
  readonly result: Promise<T>;
  readonly #queue = new EventQueue();
  readonly #stop = new AbortController();
  #ended = false;
  #left = false;
  #taken = false;
  /** Ends the reader's wait for something new. */
  #wake: () => void = () => undefined;

  constructor(operation: (options: ObservedOptions) => Promise<T>, { signal: outer }: ObserveOptions) {
    const signal = outer === undefined ? this.#stop.signal : AbortSignal.any([outer, this.#stop.signal]);
    const onProgress: OnProgress = (event) => {
      // A reader that left takes nothing any more, and after the end there is nothing to tell.
      if (this.#ended || this.#left) return;
      this.#queue.push(event);
      this.#wake();
    };
    this.result = this.#run(operation, { onProgress, signal });
    // Whoever reads the events gets the error there.
    this.result.catch(() => undefined);
  }

  [Symbol.asyncIterator](): AsyncIterator<ProgressEvent, undefined> {
    if (this.#taken) throw new CodedError("ERR_FAILED_PRECONDITION", "events: are being read by another loop");
    this.#taken = true;
    const events = this.#read();
    return {
      next: () => events.next(),
      return: async () => {
        await this.#leave();
        return events.return(undefined);
      },
      throw: async (error: unknown) => {
        await this.#leave();
        return events.throw(error);
      },
    };
  }

  async #run(operation: (options: ObservedOptions) => Promise<T>, options: ObservedOptions): Promise<T> {
    try {
      options.signal.throwIfAborted();
      return await operation(options);
    } finally {
      this.#ended = true;
      this.#wake();
    }
  }

  async *#read(): AsyncGenerator<ProgressEvent, undefined, undefined> {
    while (!this.#left) {
      const event = this.#queue.shift();
      if (event !== undefined) yield event;
      else if (this.#ended) break;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    if (!this.#left) await this.result;
    return undefined;
  }

  /** Nothing of the operation runs on behind the back of who left; how it ended is for `result` to say. */
  async #leave(): Promise<void> {
    this.#left = true;
    this.#queue.clear();
    if (!this.#ended) this.#stop.abort();
    this.#wake();
    await this.result.catch(() => undefined);
  }
}
