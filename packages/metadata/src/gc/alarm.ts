// What timers can take: with more they fire at once.
const longest = 2 ** 31 - 1;

/** One time to do something at. It does not keep the process alive. */
export class Alarm {
  readonly #ring: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #at = Infinity;

  constructor(ring: () => void) {
    this.#ring = ring;
  }

  /** In so many milliseconds from now; does nothing if it is set to ring before. */
  set(milliseconds: number): void {
    const wait = Math.min(Math.max(milliseconds, 0), longest);
    const at = performance.now() + wait;
    if (at >= this.#at) return;
    clearTimeout(this.#timer);
    this.#at = at;
    this.#timer = setTimeout(() => {
      this.#at = Infinity;
      this.#ring();
    }, wait);
    this.#timer.unref();
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#at = Infinity;
  }
}
