import { CodedError } from "@varve/errors";

/** Taken by every call that may wait. */
export interface WaitOptions {
  /** Gives up waiting: rejects with the signal's own reason. */
  readonly signal?: AbortSignal | undefined;
  /** Told once, before the wait, if there is one: to be quick, and not to throw. */
  readonly onWait?: (() => void) | undefined;
}

/** Taken by every call that may wait for a place. */
export interface PlaceOptions extends WaitOptions {
  /**
   * Whose the task is: any value, compared as by a `Map`. Groups that wait get places in turn, however many tasks each has
   * waiting; tasks without a group are one group.
   */
  readonly group?: unknown;
}

/** Gives back what `acquire` gave. Calling it again does nothing. */
export type Release = () => void;

/** Lets a fixed number of tasks run at a time; others wait, those of one group in the order of the calls. */
export interface Limiter {
  /** Waits for a place. */
  acquire(options?: PlaceOptions): Promise<Release>;
  /** Runs `body` in a place of its own. */
  run<T>(body: () => Promise<T>, options?: PlaceOptions): Promise<T>;
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
  /** By group, the one whose turn it is first. Only groups that wait are in it. */
  readonly #waiting: Map<unknown, Set<() => void>> = new Map();

  constructor(size: number) {
    this.#free = size;
  }

  async acquire(options: PlaceOptions = {}): Promise<Release> {
    options.signal?.throwIfAborted();
    if (this.#free > 0) this.#free -= 1;
    else await this.#queue(options);
    let released = false;
    return () => {
      if (released) return;
      released = true;
      this.#pass();
    };
  }

  async run<T>(body: () => Promise<T>, options?: PlaceOptions): Promise<T> {
    const release = await this.acquire(options);
    try {
      return await body();
    } finally {
      release();
    }
  }

  #queue({ signal, group, onWait }: PlaceOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      // First: if it throws, nobody waits.
      onWait?.();
      const admit = (): void => {
        signal?.removeEventListener("abort", leave);
        resolve();
      };
      const leave = (): void => {
        this.#drop(admit, group);
        reject(signal?.reason);
      };
      const members = this.#waiting.get(group) ?? new Set();
      this.#waiting.set(group, members.add(admit));
      signal?.addEventListener("abort", leave, { once: true });
    });
  }

  /** The place goes straight to the first in the queue, so that nobody who comes later is faster. */
  #pass(): void {
    const [turn] = this.#waiting;
    if (turn === undefined) {
      this.#free += 1;
      return;
    }
    const [group, members] = turn;
    const [next] = members;
    // A group that waits is never empty.
    if (next === undefined) return;
    // It had its turn: what is left of it goes behind the others.
    this.#waiting.delete(group);
    if (members.delete(next) && members.size > 0) this.#waiting.set(group, members);
    next();
  }

  #drop(admit: () => void, group: unknown): void {
    const members = this.#waiting.get(group);
    members?.delete(admit);
    if (members?.size === 0) this.#waiting.delete(group);
  }
}
