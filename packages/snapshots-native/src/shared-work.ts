// Words of the shared memory.
const STOP = 0;
/** Counts everything that a waiting thread may wait for. */
const EVENTS = 1;
/** Threads that have nothing to do. */
const IDLE = 2;
/** Directories that somebody works on or should take. */
const OPEN = 3;
/** What the next two hold: one of the states below. */
const SLOT = 4;
const SOURCE = 5;
const DESTINATION = 6;
const WORDS = 7;

const EMPTY = 0;
const CHANGING = 1;
const FULL = 2;

/** A directory to copy with all below it, and where to: both open, and to be closed by whoever copies it. */
export interface DirectoryPair {
  readonly source: number;
  readonly destination: number;
}

/** Somebody wants the copying to end. */
export class Stopped extends Error {}

/**
 * What the threads that copy one tree share: the wish to stop, and one place where a thread that meets a directory leaves
 * it for another that has nothing to do. It is all over when every directory that was ever handed out is copied.
 */
export class SharedWork {
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array<SharedArrayBuffer>;

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory;
    this.#words = new Int32Array(memory);
  }

  /** One directory is open: the root, for the thread that starts. */
  static create(): SharedWork {
    const work = new SharedWork(new SharedArrayBuffer(WORDS * Int32Array.BYTES_PER_ELEMENT));
    Atomics.store(work.#words, OPEN, 1);
    return work;
  }

  stop(): void {
    Atomics.store(this.#words, STOP, 1);
    this.#tell();
  }

  /** @throws Stopped */
  checkpoint(): void {
    if (Atomics.load(this.#words, STOP) !== 0) throw new Stopped("stopped");
  }

  /** Hands a directory over, if there is somebody to take it. */
  offer({ source, destination }: DirectoryPair): boolean {
    const words = this.#words;
    if (Atomics.load(words, IDLE) === 0) return false;
    if (Atomics.compareExchange(words, SLOT, EMPTY, CHANGING) !== EMPTY) return false;
    Atomics.store(words, SOURCE, source);
    Atomics.store(words, DESTINATION, destination);
    Atomics.add(words, OPEN, 1);
    Atomics.store(words, SLOT, FULL);
    this.#tell();
    return true;
  }

  /** A directory taken, or the root, is copied with all below it. */
  finish(): void {
    Atomics.sub(this.#words, OPEN, 1);
    this.#tell();
  }

  /**
   * Waits for a directory, and blocks the thread meanwhile; `undefined` when all is copied.
   *
   * @throws Stopped
   */
  take(): DirectoryPair | undefined {
    Atomics.add(this.#words, IDLE, 1);
    try {
      for (;;) {
        // Before all that is looked at, or what comes in between would never wake this thread.
        const seen = Atomics.load(this.#words, EVENTS);
        this.checkpoint();
        const pair = this.leftover();
        if (pair !== undefined) return pair;
        if (Atomics.load(this.#words, OPEN) === 0) return undefined;
        Atomics.wait(this.#words, EVENTS, seen);
      }
    } finally {
      Atomics.sub(this.#words, IDLE, 1);
    }
  }

  /** What was handed over and not taken yet. */
  leftover(): DirectoryPair | undefined {
    const words = this.#words;
    if (Atomics.compareExchange(words, SLOT, FULL, CHANGING) !== FULL) return undefined;
    const pair = { source: Atomics.load(words, SOURCE), destination: Atomics.load(words, DESTINATION) };
    Atomics.store(words, SLOT, EMPTY);
    return pair;
  }

  #tell(): void {
    Atomics.add(this.#words, EVENTS, 1);
    Atomics.notify(this.#words, EVENTS);
  }
}
