import { CodedError } from "@varve/errors";

/** Taken by every call that may wait. */
export interface WaitOptions {
  /** Gives up waiting: rejects with the signal's own reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Gives back what `acquire` gave. Calling it again does nothing. */
export type Release = () => void;

/** Lets a fixed number of tasks run at a time; others wait in order. */
export interface Limiter {
  /** Waits for a place. */
  acquire(options?: WaitOptions): Promise<Release>;
  /** Runs `body` in a place of its own. */
  run<T>(body: () => Promise<T>, options?: WaitOptions): Promise<T>;
}

/**
 * Makes a limiter with `size` places.
 *
 * @throws ERR_INVALID_ARGUMENT `size` is not a whole number above 0
 */
export function createLimiter(size: number): Limiter {
  if (!Number.isInteger(size) || size < 1) {
    throw new CodedError("ERR_INVALID_ARGUMENT", `limiter: ${size} places: needs a whole number above 0`);
  }
  return new QueueLimiter(size);
}

/** The queue that all locks are made of. */
export class QueueLimiter implements Limiter {
  #free: number;
  readonly #waiting: Set<() => void> = new Set();

  constructor(size: number) {
    this.#free = size;
  }

  async acquire(options: WaitOptions = {}): Promise<Release> {
    const { signal } = options;
    signal?.throwIfAborted();
    if (this.#free > 0) this.#free -= 1;
    else await this.#queue(signal);
    let released = false;
    return () => {
      if (released) return;
      released = true;
      this.#pass();
    };
  }

  async run<T>(body: () => Promise<T>, options?: WaitOptions): Promise<T> {
    const release = await this.acquire(options);
    try {
      return await body();
    } finally {
      release();
    }
  }

  #queue(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const admit = (): void => {
        signal?.removeEventListener("abort", leave);
        resolve();
      };
      const leave = (): void => {
        this.#waiting.delete(admit);
        reject(signal?.reason);
      };
      this.#waiting.add(admit);
      signal?.addEventListener("abort", leave, { once: true });
    });
  }

  /** The place goes straight to the first in the queue, so that nobody who comes later is faster. */
  #pass(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free += 1;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
