import type { Limiter, Release } from "@varve/locks";
import { createLimiter } from "@varve/locks";
import { Lane } from "./lane.ts";
import type { LaneOptions } from "./lane.ts";
import { Place } from "./place.ts";
import type { Places } from "./place.ts";

/** More than one image has downloads at a time, so that other images go on when all of one stand still. */
const mostLent = 4;

export interface LanePoolOptions extends LaneOptions {
  /** Layers at work at a time. */
  readonly size: number;
}

export interface LaneCall {
  /** Whose the layer is: those who wait get lanes in turn, each in the order of its calls. */
  readonly group: object;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Lanes made when they are needed and kept for the next layer, at most `size` at work at a time. A few may stand by
 * whose layers wait for a slow source; only when those are used up, too, do the slow hold up the others.
 */
export class LanePool {
  readonly #options: LanePoolOptions;
  readonly #limiter: Limiter;
  readonly #lanes: Set<Lane> = new Set();
  readonly #idle: Lane[] = [];
  #lent = 0;
  #closed = false;

  constructor(options: LanePoolOptions) {
    this.#options = options;
    this.#limiter = createLimiter(options.size);
  }

  /** Starts a lane ahead of the first layer that is applied, unless there is one. */
  warmUp(): void {
    if (this.#closed || this.#lanes.size > 0) return;
    const lane = this.#open();
    lane.warmUp();
    this.#idle.push(lane);
  }

  /** Waits for a lane and lends it to `body`, which says by `place` when it waits for somebody outside. */
  async run<T>(body: (lane: Lane, place: Place) => Promise<T>, { group, signal }: LaneCall): Promise<T> {
    const place = await Place.take(this.#placesFor(group), signal);
    try {
      const lane = await this.#next();
      try {
        return await body(lane, place);
      } finally {
        if (lane.isDead || this.#closed || this.#idle.length >= this.#options.size) await this.#end(lane);
        else this.#idle.push(lane);
      }
    } finally {
      place.leave();
    }
  }

  /** Ends the threads that are idle now, and the others when their layer ends. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#idle.splice(0).map((lane) => this.#end(lane)));
  }

  #placesFor(group: object): Places {
    return {
      acquire: (signal): Promise<Release> => this.#limiter.acquire({ group, signal }),
      acquireAgain: (signal): Promise<Release> => this.#limiter.acquire({ group: this, signal }),
      tryLend: () => {
        if (this.#lent >= mostLent) return false;
        this.#lent += 1;
        return true;
      },
      returned: () => void (this.#lent -= 1),
    };
  }

  /** An idle lane that still lives, or a new one. */
  async #next(): Promise<Lane> {
    for (let lane = this.#idle.pop(); lane !== undefined; lane = this.#idle.pop()) {
      if (!lane.isDead) return lane;
      await this.#end(lane);
    }
    return this.#open();
  }

  #open(): Lane {
    const lane = new Lane(this.#options);
    this.#lanes.add(lane);
    return lane;
  }

  async #end(lane: Lane): Promise<void> {
    this.#lanes.delete(lane);
    await lane.close();
  }
}
