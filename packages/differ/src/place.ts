import type { Release } from "@varve/locks";

/** How often a layer is asked how busy it was. */
const turnMs = 2000;
/** A layer that waits for others for so much of the time needs no place: it leaves the processor to them. */
const idleShare = 0.95;
const busyShare = 0.5;

/** Where places come from. */
export interface Places {
  acquire(signal?: AbortSignal): Promise<Release>;
  /** The same for a layer that has begun: it takes turns with all that have not. */
  acquireAgain(signal?: AbortSignal): Promise<Release>;
  /** Whether one layer more may go on without a place. If so, `returned` is called when it does not any more. */
  tryLend(): boolean;
  returned(): void;
}

/**
 * One layer's right to keep a processor busy. A layer whose download stalls or trickles gives it to the next one, and takes
 * another when its bytes flow again: otherwise a few slow downloads would hold up every layer of the process.
 */
export class Place {
  readonly #places: Places;
  readonly #end = new AbortController();
  /** Ends a wait for the place. */
  readonly #signal: AbortSignal;
  #release: Release | undefined;
  #turns: NodeJS.Timeout | undefined;
  #turnAt = 0;
  /** Since when it waits for somebody else. */
  #waitsSince: number | undefined;
  /** Time in this turn for which it waited. */
  #waited = 0;
  #lent = false;
  #isBusy = false;

  private constructor(places: Places, release: Release, signal: AbortSignal | undefined) {
    this.#places = places;
    this.#signal = signal === undefined ? this.#end.signal : AbortSignal.any([signal, this.#end.signal]);
    this.#release = release;
    this.#turnAt = performance.now();
    this.#turns = setInterval(() => this.#turn(), turnMs).unref();
  }

  /** Waits for a place. It must be left. */
  static async take(places: Places, signal: AbortSignal | undefined): Promise<Place> {
    return new Place(places, await places.acquire(signal), signal);
  }

  /** Waits for what somebody else does, and then for a place, if there is work and the own one is gone. */
  async outside<T>(work: () => Promise<T>): Promise<T> {
    this.#waitsSince = performance.now();
    try {
      return await work();
    } finally {
      this.#waited += performance.now() - this.#waitsSince;
      this.#waitsSince = undefined;
      if (this.#isBusy) await this.#return();
    }
  }

  leave(): void {
    clearInterval(this.#turns);
    this.#end.abort();
    this.#release?.();
    this.#release = undefined;
    this.#takeBack();
  }

  #turn(): void {
    const now = performance.now();
    if (this.#waitsSince !== undefined) {
      this.#waited += now - this.#waitsSince;
      this.#waitsSince = now;
    }
    const share = this.#waited / (now - this.#turnAt);
    this.#waited = 0;
    this.#turnAt = now;
    this.#isBusy = this.#release === undefined && share < busyShare;
    if (this.#release === undefined || share < idleShare || !this.#places.tryLend()) return;
    this.#lent = true;
    this.#release();
    this.#release = undefined;
  }

  async #return(): Promise<void> {
    // It works no more without a place, so that another may: that one's place is what this one waits for.
    this.#takeBack();
    const release = await this.#places.acquireAgain(this.#signal);
    // Turns that have passed meanwhile took the wait for work.
    this.#isBusy = false;
    // The layer may have ended in the same moment.
    if (this.#end.signal.aborted) release();
    else this.#release = release;
  }

  #takeBack(): void {
    if (this.#lent) this.#places.returned();
    this.#lent = false;
  }
}
