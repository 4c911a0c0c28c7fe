/**
 * Shows that a writer works while no bytes arrive: it hashes, or commits. Whoever wants its ref looks at the time of the data
 * file, so that time is moved. A process that is stopped, or whose event loop is, moves nothing.
 */
export class Heartbeat {
  readonly #everyMs: number;
  readonly #beat: () => void;

  constructor(stallMs: number, beat: () => void) {
    this.#everyMs = Math.min(Math.max(1, Math.floor(stallMs / 4)), 1000);
    this.#beat = beat;
  }

  /** Beats while the call runs. */
  async during<T>(call: () => Promise<T>): Promise<T> {
    const stop = this.start();
    try {
      return await call();
    } finally {
      stop();
    }
  }

  /** Beats until the returned function is called, as long as `works` says so. */
  start(works: () => boolean = () => true): () => void {
    const timer = setInterval(() => {
      try {
        if (works()) this.#beat();
      } catch {
        // Not being able to show it is what the disk will tell the writer itself.
      }
    }, this.#everyMs);
    timer.unref();
    return () => clearInterval(timer);
  }
}
