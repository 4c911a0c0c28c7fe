/** A list of whole numbers of 32 bits: half the memory of an array, and nothing for the garbage collection to look through. */
export class Numbers {
  length = 0;
  #items: Int32Array = new Int32Array(64);

  /** Gives the index of the new number. */
  push(number: number): number {
    if (this.length === this.#items.length) {
      const larger = new Int32Array(this.length * 2);
      larger.set(this.#items);
      this.#items = larger;
    }
    this.#items[this.length] = number;
    this.length += 1;
    return this.length - 1;
  }

  /** 0 where there is none. */
  at(index: number): number {
    return this.#items[index] ?? 0;
  }

  set(index: number, number: number): void {
    this.#items[index] = number;
  }
}
