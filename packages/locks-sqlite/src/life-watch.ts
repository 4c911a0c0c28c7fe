/** How much of the time between two looks counts: this process may have been stopped itself. */
const longestLookMs = 1000;

/** A clock that nobody sets, in milliseconds; the same in all processes of one boot. */
export function steadyClock(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}

interface Sight {
  beat: number;
  at: number;
  idleMs: number;
}

/**
 * Tells which holders have given no sign of life for a while. Only what this process saw itself counts, and only while it
 * was awake to see: so two processes that are stopped together do not take each other for dead when they go on.
 */
export class LifeWatch {
  readonly #limitMs: number;
  readonly #sights: Map<string, Sight> = new Map();

  constructor(limitMs: number) {
    this.#limitMs = limitMs;
  }

  /** To be asked again and again while one waits. @param beat grows while the holder lives */
  isStalled(holder: string, beat: number): boolean {
    const now = steadyClock();
    const sight = this.#sights.get(holder);
    if (sight === undefined || beat > sight.beat) {
      // Bounded: what is forgotten is only waited for once more.
      if (this.#sights.size >= 1024) this.#sights.clear();
      this.#sights.set(holder, { beat, at: now, idleMs: 0 });
      return false;
    }
    sight.idleMs += Math.min(now - sight.at, longestLookMs);
    sight.at = now;
    return sight.idleMs >= this.#limitMs;
  }
}
