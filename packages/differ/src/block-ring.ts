/** The memory of a ring, as it is handed to a worker thread. */
export interface SharedRing {
  readonly control: SharedArrayBuffer;
  readonly blocks: SharedArrayBuffer;
  readonly slots: number;
  readonly slotBytes: number;
}

const signalWord = 0;
const producedWord = 1;
const consumedWord = 2;
const stateWord = 3;
const firstLengthWord = 4;

const open = 0;
const ended = 1;
const cancelled = 2;

/** Thrown to one side when the other side, or who watches both, gave up. Never the reason of a failure. */
export class RingCancelled extends Error {
  constructor() {
    super("block ring: cancelled");
    this.name = "RingCancelled";
  }
}

/** Whether `error` is a `RingCancelled`, also after a way between threads. */
export function isRingCancelled(error: unknown): boolean {
  return error instanceof Error && error.name === "RingCancelled";
}

/** Allocates the memory of a ring of `slots` blocks of at most `slotBytes` bytes. */
export function createSharedRing(slots: number, slotBytes: number): SharedRing {
  return {
    control: new SharedArrayBuffer((firstLengthWord + slots) * Int32Array.BYTES_PER_ELEMENT),
    blocks: new SharedArrayBuffer(slots * slotBytes),
    slots,
    slotBytes,
  };
}

/**
 * A bounded queue of byte blocks between two threads: one puts, one takes. A full ring makes the producer wait, which is the
 * back-pressure of a pull; either side can cancel, which wakes the other.
 *
 * Every change bumps one signal word and every waiter sleeps on that word with the value it saw before it looked at the rest,
 * so no wake-up is lost.
 */
export class BlockRing {
  readonly #control: Int32Array;
  readonly #blocks: Uint8Array;
  readonly #slots: number;
  readonly #slotBytes: number;

  constructor(shared: SharedRing) {
    this.#control = new Int32Array(shared.control);
    this.#blocks = new Uint8Array(shared.blocks);
    this.#slots = shared.slots;
    this.#slotBytes = shared.slotBytes;
  }

  /** Makes an idle ring ready for the next stream. Nobody may be using it. */
  reset(): void {
    this.#control.fill(0);
  }

  /** The memory of the next block, for whoever fills it in place and then puts it; blocks this thread while the ring is full. */
  reserve(): Uint8Array {
    for (;;) {
      const seen = this.#signal();
      if (!this.#isFull()) break;
      Atomics.wait(this.#control, signalWord, seen);
    }
    const start = (Atomics.load(this.#control, producedWord) % this.#slots) * this.#slotBytes;
    return this.#blocks.subarray(start, start + this.#slotBytes);
  }

  /** Copies `bytes` in, and blocks this thread while the ring is full. Throws `RingCancelled` once the ring is cancelled. */
  putSync(bytes: Uint8Array): void {
    for (let offset = 0; offset < bytes.length;) {
      const seen = this.#signal();
      if (this.#isFull()) Atomics.wait(this.#control, signalWord, seen);
      else offset += this.#fill(bytes, offset);
    }
  }

  /** As `putSync`, for a thread that must not block. */
  async put(bytes: Uint8Array): Promise<void> {
    for (let offset = 0; offset < bytes.length;) {
      const seen = this.#signal();
      if (this.#isFull()) await Atomics.waitAsync(this.#control, signalWord, seen).value;
      else offset += this.#fill(bytes, offset);
    }
  }

  /** No more bytes will come. */
  end(): void {
    Atomics.compareExchange(this.#control, stateWord, open, ended);
    this.#changed();
  }

  /** Either side gives up; what was put is lost. */
  cancel(): void {
    Atomics.store(this.#control, stateWord, cancelled);
    this.#changed();
  }

  /** Hands each block to `body` in order, blocking this thread while the ring is empty. The block is valid during the call only. */
  drainSync(body: (block: Uint8Array) => void): void {
    for (;;) {
      const seen = this.#signal();
      const state = this.#state();
      const consumed = Atomics.load(this.#control, consumedWord);
      if (consumed === Atomics.load(this.#control, producedWord)) {
        if (state === ended) return;
        Atomics.wait(this.#control, signalWord, seen);
        continue;
      }
      const slot = consumed % this.#slots;
      const start = slot * this.#slotBytes;
      body(this.#blocks.subarray(start, start + Atomics.load(this.#control, firstLengthWord + slot)));
      Atomics.add(this.#control, consumedWord, 1);
      this.#changed();
    }
  }

  #fill(bytes: Uint8Array, offset: number): number {
    const produced = Atomics.load(this.#control, producedWord);
    const slot = produced % this.#slots;
    const length = Math.min(bytes.length - offset, this.#slotBytes);
    // A block that was filled where `reserve` said is there already.
    const isInPlace = bytes.buffer === this.#blocks.buffer && bytes.byteOffset === slot * this.#slotBytes;
    if (!isInPlace) this.#blocks.set(bytes.subarray(offset, offset + length), slot * this.#slotBytes);
    Atomics.store(this.#control, firstLengthWord + slot, length);
    Atomics.add(this.#control, producedWord, 1);
    this.#changed();
    return length;
  }

  #isFull(): boolean {
    this.#state();
    return Atomics.load(this.#control, producedWord) - Atomics.load(this.#control, consumedWord) >= this.#slots;
  }

  #state(): number {
    const state = Atomics.load(this.#control, stateWord);
    if (state === cancelled) throw new RingCancelled();
    return state;
  }

  #signal(): number {
    return Atomics.load(this.#control, signalWord);
  }

  #changed(): void {
    Atomics.add(this.#control, signalWord, 1);
    Atomics.notify(this.#control, signalWord);
  }
}
