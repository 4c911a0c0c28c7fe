import type { Limiter } from "@varve/locks";
import { createLimiter } from "@varve/locks";
import { Lane } from "./lane.ts";

/** Lanes made when they are needed and kept for the next layer, at most `size` at work at a time. */
export class LanePool {
  readonly #limiter: Limiter;
  readonly #idle: Lane[] = [];
  #closed = false;

  constructor(size: number) {
    this.#limiter = createLimiter(size);
  }

  /** Waits for a lane and lends it to `body`. */
  run<T>(body: (lane: Lane) => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.#limiter.run(
      async () => {
        const lane = this.#idle.pop() ?? new Lane();
        try {
          return await body(lane);
        } finally {
          if (lane.isDead || this.#closed) await lane.close();
          else this.#idle.push(lane);
        }
      },
      { signal },
    );
  }

  /** Ends the threads that are idle now, and the others when their layer ends. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#idle.splice(0).map((lane) => lane.close()));
  }
}
