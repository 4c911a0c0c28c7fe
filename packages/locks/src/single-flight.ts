import { CodedError } from "@varve/errors";
import type { WaitOptions } from "./limiter.ts";
import { untilAborted } from "./until-aborted.ts";

/** Does the work for a key once, however many ask for it at the same time. */
export interface SingleFlight<K, V> {
  /**
   * Joins the run for `key`, or starts it. All who joined get its result or its error. A caller that aborts leaves
   * with its signal's reason; the run goes on while somebody waits, and its signal is aborted when the last one has left.
   */
  run(key: K, work: (signal: AbortSignal) => Promise<V>, options?: WaitOptions): Promise<V>;
}

/** Makes a set of runs. A key takes up memory only while its work goes on. */
export function createSingleFlight<K, V>(): SingleFlight<K, V> {
  return new MapSingleFlight<K, V>();
}

interface Flight<V> {
  readonly result: Promise<V>;
  readonly stop: AbortController;
  waiting: number;
  settled: boolean;
}

class MapSingleFlight<K, V> implements SingleFlight<K, V> {
  readonly #flights: Map<K, Flight<V>> = new Map();

  async run(key: K, work: (signal: AbortSignal) => Promise<V>, options: WaitOptions = {}): Promise<V> {
    const { signal } = options;
    signal?.throwIfAborted();
    const flight = this.#flights.get(key) ?? this.#start(key, work);
    flight.waiting += 1;
    try {
      return await untilAborted(flight.result, signal);
    } finally {
      flight.waiting -= 1;
      if (flight.waiting === 0 && !flight.settled) this.#giveUp(key, flight);
    }
  }

  #start(key: K, work: (signal: AbortSignal) => Promise<V>): Flight<V> {
    const stop = new AbortController();
    const flight: Flight<V> = { result: work(stop.signal), stop, waiting: 0, settled: false };
    this.#flights.set(key, flight);
    flight.result.then(
      () => this.#settle(key, flight),
      () => this.#settle(key, flight),
    );
    return flight;
  }

  /** What the work gave may live on under its signal, a stream say: only work that is still running is aborted. */
  #settle(key: K, flight: Flight<V>): void {
    flight.settled = true;
    this.#forget(key, flight);
  }

  /** Nobody waits: whoever comes now starts anew instead of joining what is being given up. */
  #giveUp(key: K, flight: Flight<V>): void {
    this.#forget(key, flight);
    flight.stop.abort(new CodedError("ERR_ABORTED", "single flight: nobody waits any more"));
  }

  #forget(key: K, flight: Flight<V>): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key);
  }
}
