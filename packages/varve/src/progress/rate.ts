const stepMs = 100;

/** How fast a count grows, over the last seconds: what stands still comes to nothing. */
export class Rate {
  readonly #windowMs: number;
  readonly #samples: (readonly [at: number, count: number])[] = [];

  constructor(windowMs = 3000) {
    this.#windowMs = windowMs;
  }

  /** Notes the count at this time, and gives its growth a second. */
  at(now: number, count: number): number {
    const last = this.#samples.at(-1);
    if (last === undefined || now - last[0] >= stepMs) this.#samples.push([now, count]);
    // The newest of those that are too old is where the window begins.
    while ((this.#samples[1]?.[0] ?? now) <= now - this.#windowMs) this.#samples.shift();
    const [first] = this.#samples;
    if (first === undefined || now - first[0] < stepMs) return 0;
    return Math.max(0, ((count - first[1]) / (now - first[0])) * 1000);
  }
}
