import type { Descriptor } from "@varve/oci";
import type { Handler } from "./handler.ts";
import { descriptorCounter } from "./walk.ts";
import type { WalkOptions } from "./walk.ts";

export interface DispatchOptions extends WalkOptions {
  /** How many descriptors are handled at once. Default: 3. */
  readonly concurrency?: number | undefined;
  /**
   * Held while a handler runs, not while its children wait, so that several dispatches can share one limit.
   * Such as a limiter of `@varve/locks`.
   */
  readonly limiter?: HandlerLimiter | undefined;
}

/** Bounds how many tasks run at once. */
export interface HandlerLimiter {
  run<T>(task: () => Promise<T>, options?: { readonly signal?: AbortSignal | undefined }): Promise<T>;
}

/**
 * Handles `roots` and everything below them, several at once; a descriptor always before its children, siblings in order
 * of their list as far as one starts before the next.
 *
 * The first error aborts the signal that the other handlers were given; it is thrown when all of them have settled, so
 * nothing runs on behind the caller's back.
 */
export async function dispatch(
  handler: Handler,
  roots: readonly Descriptor[],
  options: DispatchOptions = {},
): Promise<void> {
  options.signal?.throwIfAborted();
  await new Dispatch(handler, roots, options).run();
}

class Dispatch {
  readonly #handler: Handler;
  readonly #waiting: Descriptor[];
  readonly #concurrency: number;
  readonly #limiter: HandlerLimiter | undefined;
  readonly #count: (next: Descriptor, waiting: number) => void;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  #running = 0;

  constructor(handler: Handler, roots: readonly Descriptor[], options: DispatchOptions) {
    this.#handler = handler;
    // Taken from the end, which is cheap however long the list is.
    this.#waiting = roots.toReversed();
    this.#concurrency = Math.max(1, options.concurrency ?? 3);
    this.#limiter = options.limiter;
    this.#count = descriptorCounter(options.maxDescriptors);
    this.#signal =
      options.signal === undefined ? this.#stop.signal : AbortSignal.any([options.signal, this.#stop.signal]);
  }

  async run(): Promise<void> {
    await new Promise<void>((resolve) => this.#startMore(resolve));
    this.#signal.throwIfAborted();
  }

  #startMore(done: () => void): void {
    while (this.#running < this.#concurrency && !this.#signal.aborted) {
      const next = this.#waiting.pop();
      if (next === undefined) break;
      this.#running += 1;
      void this.#handle(next).finally(() => {
        this.#running -= 1;
        this.#startMore(done);
      });
    }
    if (this.#running === 0) done();
  }

  async #handle(descriptor: Descriptor): Promise<void> {
    const context = { signal: this.#signal };
    try {
      this.#count(descriptor, 1 + this.#waiting.length);
      const task = (): Promise<readonly Descriptor[]> => this.#handler(descriptor, context);
      const children = await (this.#limiter === undefined ? task() : this.#limiter.run(task, context));
      for (const child of children.toReversed()) this.#waiting.push(child);
    } catch (error) {
      this.#stop.abort(error);
    }
  }
}
