/** Names in the order of their bytes, one character a byte. An array of such is one, too. */
export interface Names extends Iterable<string> {
  readonly length: number;
  /** `undefined` behind the last. */
  at(index: number): string | undefined;
}

/** The names of one directory in one stretch of memory: there may be millions, and strings take thrice as much. */
export class NameList implements Names {
  /** The names, a zero byte behind each. */
  #bytes: Buffer = Buffer.allocUnsafeSlow(512);
  #used = 0;
  /** Where each name starts. */
  #places: Uint32Array = new Uint32Array(16);
  #count = 0;

  get length(): number {
    return this.#count;
  }

  add(name: Uint8Array): void {
    this.#makeRoom(name.length);
    this.#places[this.#count] = this.#used;
    this.#count += 1;
    this.#bytes.set(name, this.#used);
    this.#used += name.length;
    this.#bytes[this.#used] = 0;
    this.#used += 1;
  }

  sort(): void {
    const bytes = this.#bytes;
    this.#places.subarray(0, this.#count).sort((one, other) => compare(bytes, one, other));
  }

  at(index: number): string | undefined {
    if (index >= this.#count) return undefined;
    const start = this.#places[index] ?? 0;
    return this.#bytes.toString("latin1", start, this.#bytes.indexOf(0, start));
  }

  /** Whether a sorted list has the name. */
  has(name: string): boolean {
    let [low, high] = [0, this.#count];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.at(middle) ?? "") < name) low = middle + 1;
      else high = middle;
    }
    return this.at(low) === name;
  }

  *[Symbol.iterator](): Generator<string, void, undefined> {
    for (let index = 0; index < this.#count; index += 1) yield this.at(index) ?? "";
  }

  #makeRoom(length: number): void {
    if (this.#used + length + 1 > this.#bytes.length) {
      const bytes = Buffer.allocUnsafeSlow(2 * (this.#bytes.length + length));
      this.#bytes.copy(bytes, 0, 0, this.#used);
      this.#bytes = bytes;
    }
    if (this.#count < this.#places.length) return;
    const places = new Uint32Array(2 * this.#count);
    places.set(this.#places);
    this.#places = places;
  }
}

function compare(bytes: Buffer, one: number, other: number): number {
  for (let at = 0; ; at += 1) {
    const byte = bytes[one + at] ?? 0;
    const difference = byte - (bytes[other + at] ?? 0);
    if (difference !== 0 || byte === 0) return difference;
  }
}
