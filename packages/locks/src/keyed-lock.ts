import type { Release, WaitOptions } from "./limiter.ts";
import { QueueLimiter } from "./limiter.ts";

/** One lock for each key, within this process. */
export interface KeyedLock {
  /** Waits until nobody holds `key`, in the order of the calls. */
  acquire(key: string, options?: WaitOptions): Promise<Release>;
  /** Runs `body` while holding `key`. */
  run<T>(key: string, body: () => Promise<T>, options?: WaitOptions): Promise<T>;
}

/** Makes a set of locks. A key takes up memory only while somebody holds it or waits for it. */
export function createKeyedLock(): KeyedLock {
  return new MapKeyedLock();
}

interface Entry {
  readonly queue: QueueLimiter;
  users: number;
}

class MapKeyedLock implements KeyedLock {
  readonly #entries: Map<string, Entry> = new Map();

  async acquire(key: string, options?: WaitOptions): Promise<Release> {
    const entry = this.#entries.get(key) ?? { queue: new QueueLimiter(1), users: 0 };
    this.#entries.set(key, entry);
    entry.users += 1;
    try {
      const release = await entry.queue.acquire(options);
      let released = false;
      return () => {
        if (released) return;
        released = true;
        release();
        this.#leave(key, entry);
      };
    } catch (error) {
      this.#leave(key, entry);
      throw error;
    }
  }

  async run<T>(key: string, body: () => Promise<T>, options?: WaitOptions): Promise<T> {
    const release = await this.acquire(key, options);
    try {
      return await body();
    } finally {
      release();
    }
  }

  #leave(key: string, entry: Entry): void {
    entry.users -= 1;
    if (entry.users === 0) this.#entries.delete(key);
  }
}
