import { CodedError } from "@varve/errors";
import { RingCancelled } from "./ring-cancelled.ts";

/** The memory of a ring, as it is handed to a worker thread. */
export interface SharedRing {
  readonly control: SharedArrayBuffer;
  readonly blocks: SharedArrayBuffer;
  readonly slots: number;
  readonly slotBytes: number;
}

/**
 * Says how the words below lie. Threads start long after the program: by then their file may be one of another release, and the
 * two would wait for each other forever.
 */
const layoutWord = 0;
const layout = 3;
const signalWord = 1;
const producedWord = 2;
const stateWord = 3;
const consumersWord = 4;
const firstConsumedWord = 5;
const maxConsumers = 2;
const firstLengthWord = firstConsumedWord + maxConsumers;

const open = 0;
const ended = 1;
const cancelled = 2;

/** Allocates the memory of a ring of `slots` blocks of at most `slotBytes` bytes. */
export function createSharedRing(slots: number, slotBytes: number): SharedRing {
  const control = new SharedArrayBuffer((firstLengthWord + slots) * Int32Array.BYTES_PER_ELEMENT);
  new Int32Array(control)[layoutWord] = layout;
  return {
    control,
    blocks: new SharedArrayBuffer(slots * slotBytes),
    slots,
    slotBytes,
  };
}

/**
 * A bounded queue of byte blocks between threads: one puts, and one or two take, each all of them. A full ring makes the producer
 * wait for the slower one, which is the back-pressure of a pull; each side can cancel, which wakes the others.
 *
 * Every change bumps one signal word and every waiter sleeps on that word with the value it saw before it looked at the rest,
 * so no wake-up is lost.
 */
export class BlockRing {
  readonly #control: Int32Array;
  readonly #blocks: Uint8Array;
  readonly #slots: number;
  readonly #slotBytes: number;
  readonly #consumedWord: number;

  /**
   * @param consumer which one this is, if it takes: 0 or 1
   * @throws ERR_INTERNAL the memory was laid out by another version of this file
   */
  constructor(shared: SharedRing, consumer: 0 | 1 = 0) {
    this.#control = new Int32Array(shared.control);
    if (this.#control[layoutWord] !== layout) {
      throw new CodedError("ERR_INTERNAL", "block ring: the other side is of another version of this package");
    }
    this.#blocks = new Uint8Array(shared.blocks);
    this.#slots = shared.slots;
    this.#slotBytes = shared.slotBytes;
    this.#consumedWord = firstConsumedWord + consumer;
  }

  /** Makes an idle ring ready for the next stream. Nobody may be using it. */
  reset(consumers: 1 | 2 = 1): void {
    this.#control.fill(0, signalWord);
    this.haveConsumers(consumers);
  }

  /** How many take all blocks each. To be known before the first block is put. */
  haveConsumers(consumers: 1 | 2): void {
    Atomics.store(this.#control, consumersWord, consumers);
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
      if (this.#isEmpty()) {
        if (state === ended) return;
        Atomics.wait(this.#control, signalWord, seen);
        continue;
      }
      body(this.#first());
      this.#drop();
    }
  }

  /** As `drainSync`, for a thread that must not block. A block is valid until the next one is asked for. */
  async *blocks(): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      const seen = this.#signal();
      const state = this.#state();
      if (this.#isEmpty()) {
        if (state === ended) return;
        await Atomics.waitAsync(this.#control, signalWord, seen).value;
        continue;
      }
      yield this.#first();
      this.#drop();
    }
  }

  /** Throws `RingCancelled` once the ring is cancelled, for a producer that has nothing to put for a while. */
  throwIfCancelled(): void {
    this.#state();
  }

  #isEmpty(): boolean {
    return Atomics.load(this.#control, this.#consumedWord) === Atomics.load(this.#control, producedWord);
  }

  /** The oldest block. */
  #first(): Uint8Array {
    const slot = Atomics.load(this.#control, this.#consumedWord) % this.#slots;
    const start = slot * this.#slotBytes;
    return this.#blocks.subarray(start, start + Atomics.load(this.#control, firstLengthWord + slot));
  }

  #drop(): void {
    Atomics.add(this.#control, this.#consumedWord, 1);
    this.#changed();
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
    const oldest = Atomics.load(this.#control, producedWord) - this.#slots;
    if (Atomics.load(this.#control, firstConsumedWord) <= oldest) return true;
    return (
      Atomics.load(this.#control, consumersWord) > 1 && Atomics.load(this.#control, firstConsumedWord + 1) <= oldest
    );
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
