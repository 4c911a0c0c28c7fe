/** A map that keeps as many entries as it has room for: those that were used last. */
export class RecentMap<Key, Value> {
  readonly #entries = new Map<Key, Value>();
  readonly #room: number;

  constructor(room: number) {
    this.#room = room;
  }

  get(key: Key): Value | undefined {
    const value = this.#entries.get(key);
    // Put in anew, so that the map's order is that of the last use.
    if (value !== undefined) this.set(key, value);
    return value;
  }

  set(key: Key, value: Value): void {
    this.#entries.delete(key);
    this.#entries.set(key, value);
    const oldest = this.#entries.keys().next();
    if (this.#entries.size > this.#room && oldest.done !== true) this.#entries.delete(oldest.value);
  }

  /** The value of a key; made if it is not there. */
  getOrMake(key: Key, make: () => Value): Value {
    const known = this.get(key);
    if (known !== undefined) return known;
    const made = make();
    this.set(key, made);
    return made;
  }

  delete(key: Key): void {
    this.#entries.delete(key);
  }

  /** Those that are there now, the oldest first. */
  entries(): [Key, Value][] {
    return [...this.#entries];
  }
}
