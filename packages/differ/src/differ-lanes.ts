import { availableParallelism } from "node:os";
import type { Lane } from "./lane.ts";
import { LanePool } from "./lane-pool.ts";
import type { Place } from "./place.ts";

/** The pool of this process: threads are too heavy for some in each client. */
let shared: LanePool | undefined;
let sharers = 0;

/**
 * One processor is busy with the download, and a lane keeps more than one busy: on two cores a second lane costs 40 MB and a fifth
 * more CPU, and no image is there sooner. More than four write no faster to one disk.
 */
function sharedLanes(cores: number): number {
  return Math.min(Math.max(1, cores - 1), 4);
}

/** The lanes that one differ works with: some of its own, or those of the process. */
export class DifferLanes {
  readonly #pool: LanePool;
  readonly #isShared: boolean;
  #closed = false;

  /** @param concurrency how many of its own; if absent, it shares those of the process */
  constructor(concurrency?: number) {
    this.#isShared = concurrency === undefined;
    const cores = availableParallelism();
    // With more of them idle, one layer would not keep two busy without a thread that only hashes.
    const options = { size: concurrency ?? sharedLanes(cores), ownHasher: cores > 2 };
    if (this.#isShared) sharers += 1;
    this.#pool = this.#isShared ? (shared ??= new LanePool(options)) : new LanePool(options);
  }

  warmUp(): void {
    if (!this.#closed) this.#pool.warmUp();
  }

  /** Waits for a lane and lends it to `body`. Differs that wait get one in turn. */
  run<T>(body: (lane: Lane, place: Place) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    return this.#pool.run(body, { group: this, signal });
  }

  /** Ends the threads that are idle, if nobody shares them any more, and the others when their layer ends. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#isShared) {
      sharers -= 1;
      if (sharers > 0) return;
      shared = undefined;
    }
    await this.#pool.close();
  }
}
