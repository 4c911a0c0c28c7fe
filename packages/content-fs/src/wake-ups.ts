/** Wakes those who wait for something to change, by key. */
export class WakeUps {
  readonly #waiting: Map<string, Set<() => void>> = new Map();

  wake(key: string): void {
    const waiting = this.#waiting.get(key);
    if (waiting === undefined) return;
    this.#waiting.delete(key);
    for (const resolve of waiting) resolve();
  }

  wakeAll(): void {
    for (const key of this.#waiting.keys()) this.wake(key);
  }

  /**
   * Begins to listen now, and resolves at the next wake-up, after `ms` milliseconds, or when the signal aborts. What
   * changes between the call and the wait on its result is not missed.
   */
  listen(key: string): { wait(ms: number, signal?: AbortSignal): Promise<void>; stop(): void } {
    let woken = false;
    let wakeNow: (() => void) | undefined;
    const onWake = (): void => {
      woken = true;
      wakeNow?.();
    };
    const waiting = this.#waiting.get(key) ?? new Set();
    this.#waiting.set(key, waiting.add(onWake));
    const stop = (): void => {
      waiting.delete(onWake);
      if (waiting.size === 0 && this.#waiting.get(key) === waiting) this.#waiting.delete(key);
    };
    const wait = async (ms: number, signal?: AbortSignal): Promise<void> => {
      if (!woken && signal?.aborted !== true) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(() => wakeNow?.(), ms);
          const wakeUp = (): void => {
            clearTimeout(timer);
            signal?.removeEventListener("abort", wakeUp);
            resolve();
          };
          wakeNow = wakeUp;
          signal?.addEventListener("abort", wakeUp, { once: true });
        });
      }
      stop();
      signal?.throwIfAborted();
    };
    return { wait, stop };
  }
}
