/** Something that is made when it is first asked for. A failure is not remembered: the next call tries again. */
export class Lazy<T> {
  readonly #make: () => Promise<T>;
  #made: Promise<T> | undefined;

  constructor(make: () => Promise<T>) {
    this.#make = make;
  }

  get(): Promise<T> {
    if (this.#made !== undefined) return this.#made;
    const made = this.#make();
    this.#made = made;
    made.catch(() => {
      if (this.#made === made) this.#made = undefined;
    });
    return made;
  }

  /** Hands over what was made; if nothing was, there is nothing to close. */
  async close(close: (made: T) => Promise<void>): Promise<void> {
    const making = this.#made;
    this.#made = undefined;
    if (making === undefined) return;
    const made = await making.then(
      (value) => ({ value }),
      () => undefined,
    );
    if (made !== undefined) await close(made.value);
  }
}
