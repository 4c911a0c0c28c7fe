import { randomInt } from "node:crypto";

const flagBit = 2;
const slash = 0x2f;

/**
 * Remembers for very many paths that they were there and a flag of each, in 16 to 32 bytes each. Paths are told apart by 62
 * bits of a keyed hash, so a new path may be taken for a known one; that must do no harm to whoever asks.
 */
export class PathMarks {
  readonly #seeds: Int32Array = Int32Array.of(randomInt(2 ** 32), randomInt(2 ** 32));
  /** Pairs of hash words. The second is zero in an empty place, and has the flag in its second bit otherwise. */
  #places: Int32Array = new Int32Array(2 * 1024);
  #count = 0;

  /** Remembers the path (one character a byte) with its flag; if it is known, it only answers the flag it was given first. */
  add(path: string, flag: boolean): boolean | undefined {
    const first = finished(mixed(path, this.#seeds[0] ?? 0));
    return this.#add(first, finished(mixed(path, this.#seeds[1] ?? 0)), flag);
  }

  /** Remembers, with the flag true, all paths that this one is below, and says how many are known with the flag false. */
  addParents(path: string): number {
    let [first = 0, second = 0] = this.#seeds;
    let others = 0;
    // In one go: a path may have thousands of names, and each is the start of the next.
    for (let at = 0; at < path.length; at += 1) {
      const code = path.charCodeAt(at);
      if (code === slash && this.#add(finished(first), finished(second), true) === false) others += 1;
      first = mix(first, code);
      second = mix(second, code);
    }
    return others;
  }

  /** How many paths are remembered. */
  get count(): number {
    return this.#count;
  }

  #add(first: number, hash: number, flag: boolean): boolean | undefined {
    if (this.#count * 4 >= this.#places.length) this.#grow();
    const second = (hash & ~flagBit) | 1;
    const at = this.#placeOf(first, second);
    const known = this.#places[at + 1] ?? 0;
    if (known !== 0) return (known & flagBit) !== 0;
    this.#put(at, first, flag ? second | flagBit : second);
    this.#count += 1;
    return undefined;
  }

  /** Where the pair is, or the empty place where it belongs. */
  #placeOf(first: number, second: number): number {
    const mask = this.#places.length - 1;
    let at = (first * 2) & mask;
    for (; ; at = (at + 2) & mask) {
      const there = this.#places[at + 1] ?? 0;
      if (there === 0 || (this.#places[at] === first && (there | flagBit) === (second | flagBit))) return at;
    }
  }

  #put(at: number, first: number, second: number): void {
    this.#places[at] = first;
    this.#places[at + 1] = second;
  }

  #grow(): void {
    const old = this.#places;
    this.#places = new Int32Array(old.length * 2);
    for (let at = 0; at < old.length; at += 2) {
      const first = old[at] ?? 0;
      const second = old[at + 1] ?? 0;
      if (second !== 0) this.#put(this.#placeOf(first, second), first, second);
    }
  }
}

function mixed(text: string, seed: number): number {
  let value = seed;
  for (let at = 0; at < text.length; at += 1) value = mix(value, text.charCodeAt(at));
  return value;
}

/** Murmur's way of mixing, one character at a time. */
function mix(value: number, code: number): number {
  const next = Math.imul(value ^ code, 0x5bd1e995);
  return next ^ (next >>> 15);
}

function finished(value: number): number {
  const last = Math.imul(value ^ (value >>> 13), 0x5bd1e995);
  return last ^ (last >>> 15);
}
