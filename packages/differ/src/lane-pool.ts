import type { Limiter } from "@varve/locks";
import { createLimiter } from "@varve/locks";
import { Lane } from "./lane.ts";

/** Lanes made when they are needed and kept for the next layer, at most `size` at work at a time. */
export class LanePool {
  readonly #limiter: Limiter;
  readonly #lanes: Set<Lane> = new Set();
  readonly #idle: Lane[] = [];
  #closed = false;

  constructor(size: number) {
    this.#limiter = createLimiter(size);
  }

  /** Starts a lane ahead of its first layer, unless there is one. */
  warmUp(): void {
    if (!this.#closed && this.#lanes.size === 0) this.#idle.push(this.#open());
  }

  /** Waits for a lane and lends it to `body`. */
  run<T>(body: (lane: Lane) => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.#limiter.run(
      async () => {
        const lane = this.#idle.pop() ?? this.#open();
        try {
          return await body(lane);
        } finally {
          if (lane.isDead || this.#closed) await this.#end(lane);
          else this.#idle.push(lane);
        }
      },
      { signal },
    );
  }

  /** Ends the threads that are idle now, and the others when their layer ends. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#idle.splice(0).map((lane) => this.#end(lane)));
  }

  #open(): Lane {
    const lane = new Lane();
    this.#lanes.add(lane);
    return lane;
  }

  async #end(lane: Lane): Promise<void> {
    this.#lanes.delete(lane);
    await lane.close();
  }
}
