import { sleep } from "@varve/locks";
import { backoff } from "../http/retry.ts";
import type { Settings } from "../options.ts";

/** A connection that brings less is not worth having made. */
const worthwhile = 64 * 1024;
/** So many such connections in a row are put up with. */
const maxPoor = 64;

/**
 * How long a transfer is continued that breaks off again and again. Progress renews the right to fail, but not without end:
 * a server that gives one byte a connection is no help.
 */
export class Patience {
  readonly #settings: Settings;
  #left: number;
  #failures = 0;
  #poor = 0;

  /** @param size bytes that are to come */
  constructor(settings: Settings, size: number) {
    this.#settings = settings;
    this.#left = 4 * maxPoor + Math.ceil(size / worthwhile);
  }

  /**
   * Waits until it is time for the next connection.
   *
   * @param gained bytes that the last one brought
   * @param failure why it broke off; thrown if there is no patience left
   */
  async afterFailure(gained: number, failure: unknown, signal: AbortSignal | undefined): Promise<void> {
    this.#failures = gained > 0 ? 0 : this.#failures + 1;
    this.#poor = gained >= worthwhile ? 0 : this.#poor + 1;
    this.#left -= 1;
    if (this.#failures > this.#settings.retries || this.#poor > maxPoor || this.#left === 0) throw failure;
    await sleep(backoff(this.#settings, this.#failures), { signal });
  }
}
