import { loadKoffi } from "./koffi.ts";
import type { Koffi } from "./koffi.ts";

/** What one step of `IsalInflate` did. */
export interface InflateStep {
  /** Bytes of the input that were used up. */
  readonly taken: number;
  /** Bytes of output. */
  readonly written: number;
  /** The stream and the checksum and length after it (the trailer of gzip) were read, and are right. */
  readonly done: boolean;
}

/** A decompressor of deflate with the trailer of gzip, by the system's ISA-L. The header of gzip must be taken off before. */
export interface IsalInflate {
  /** Starts over, with another stream. */
  reset(): void;
  /**
   * Decompresses from `input` into `output`, until one of them is used up or the stream ends. Both may be of any length and
   * in any memory, shared memory too; nothing points to them when the call is over.
   *
   * @throws Error the stream is malformed, or its trailer is wrong; only `reset` and `close` may follow
   */
  step(input: Uint8Array, output: Uint8Array): InflateStep;
  close(): void;
}

interface Library {
  readonly init: (state: number) => void;
  readonly reset: (state: number) => void;
  readonly inflate: (state: number) => number;
  readonly address: (memory: ArrayBuffer | Uint8Array) => number;
}

/**
 * `struct inflate_state` of igzip_lib.h where a pointer has eight bytes, the same in releases 2.30 to 2.32 of libisal.so.2. The
 * struct belongs to the caller, so its layout is part of the library's binary interface.
 */
const state = {
  nextOut: 0,
  availOut: 8,
  nextIn: 16,
  availIn: 32,
  tables: 40,
  blockState: 21_160,
  crcFlag: 21_172,
  crc: 21_176,
  end: 87_368,
} as const;

/** Values of `block_state` and `crc_flag`. */
const finished = 5;
const gzipWithoutHeader = 6;

// One piece of memory of our own: the struct with room to spare, a copy of the input, and output where that is small.
const inputOffset = 96 * 1024;
const inputSize = 64 * 1024;
const outputOffset = inputOffset + inputSize;
const outputSize = 4096;

let library: Library | undefined;
let looked = false;

/**
 * Opens a decompressor; `undefined` where there is no libisal.so.2 that does what is expected of it, or no koffi.
 * The library is loaded, and tried out, by the first call of a thread.
 */
export function openIsalInflate(): IsalInflate | undefined {
  if (!looked) {
    looked = true;
    library = loadLibrary();
  }
  return library === undefined ? undefined : new Inflate(library);
}

class Inflate implements IsalInflate {
  readonly #library: Library;
  readonly #address: number;
  #bytes: Uint8Array | undefined;
  readonly #view: DataView;

  constructor(isal: Library) {
    const memory = new ArrayBuffer(outputOffset + outputSize);
    this.#library = isal;
    this.#address = isal.address(memory);
    this.#bytes = new Uint8Array(memory);
    this.#view = new DataView(memory);
    isal.init(this.#address);
    this.reset();
  }

  reset(): void {
    this.#open();
    this.#library.reset(this.#address);
    this.#view.setUint32(state.crcFlag, gzipWithoutHeader, true);
  }

  step(input: Uint8Array, output: Uint8Array): InflateStep {
    const bytes = this.#open();
    const given = Math.min(input.length, inputSize);
    bytes.set(input.subarray(0, given), inputOffset);
    this.#point(state.nextIn, this.#address + inputOffset, state.availIn, given);
    // V8 keeps small typed arrays inside its heap, where they move; for the others a copy would cost a tenth of the time.
    const aside = output.length <= outputSize;
    const target = aside ? this.#address + outputOffset : this.#library.address(output);
    this.#point(state.nextOut, target, state.availOut, output.length);
    const result = this.#library.inflate(this.#address);
    this.#view.setBigUint64(state.nextOut, 0n, true);
    if (result < 0) throw new Error(failures.get(result) ?? `ISA-L error ${result}`);
    const taken = given - this.#view.getUint32(state.availIn, true);
    const written = output.length - this.#view.getUint32(state.availOut, true);
    if (taken < 0 || written < 0) throw new Error("ISA-L counts wrongly");
    if (aside) output.set(bytes.subarray(outputOffset, outputOffset + written));
    return { taken, written, done: this.#view.getUint32(state.blockState, true) === finished };
  }

  close(): void {
    this.#bytes = undefined;
  }

  #open(): Uint8Array {
    if (this.#bytes === undefined) throw new Error("the decompressor is closed");
    return this.#bytes;
  }

  #point(pointer: number, address: number, length: number, size: number): void {
    this.#view.setBigUint64(pointer, BigInt(address), true);
    this.#view.setUint32(length, size, true);
  }
}

const failures: ReadonlyMap<number, string> = new Map([
  [-1, "invalid block"],
  [-2, "invalid code"],
  [-3, "invalid distance"],
  [-6, "incorrect data check"],
]);

function loadLibrary(): Library | undefined {
  // Until 2.32, the code for arm64 takes some good streams for finished too early (intel/isa-l issue 316).
  if (process.platform !== "linux" || process.arch !== "x64") return undefined;
  try {
    const found = bind(loadKoffi());
    return hasLayout(found) && decompresses(found) ? found : undefined;
  } catch {
    return undefined;
  }
}

function bind(koffi: Koffi): Library {
  const isal = koffi.load("libisal.so.2");
  return {
    init: isal.func("isal_inflate_init", "void", ["intptr_t"]),
    reset: isal.func("isal_inflate_reset", "void", ["intptr_t"]),
    inflate: isal.func("isal_inflate", "int", ["intptr_t"]),
    address: (memory) => Number(koffi.address(memory)),
  };
}

/** Whether the library finds the fields of the struct where we do, as far as its setting up shows it. */
function hasLayout(isal: Library): boolean {
  const memory = new ArrayBuffer(inputOffset);
  const bytes = new Uint8Array(memory).fill(0xa5);
  isal.init(isal.address(memory));
  const view = new DataView(memory);
  const zero = [state.availOut, state.availIn, state.blockState, state.crcFlag, state.crc];
  const kept = [state.tables, state.blockState - 4, state.end - 4, state.end];
  return (
    zero.every((offset) => view.getUint32(offset, true) === 0) &&
    kept.every((offset) => view.getUint32(offset, true) === 0xa5a5_a5a5) &&
    bytes.subarray(state.end).every((byte) => byte === 0xa5)
  );
}

/** "varve" 20 times, in fixed codes, with its CRC-32 and length. */
const sample = Uint8Array.from([
  0x2b, 0x4b, 0x2c, 0x2a, 0x4b, 0x2d, 0xa3, 0x2d, 0x01, 0x00, 0x82, 0xe5, 0x51, 0x00, 0x64, 0x00, 0x00, 0x00,
]);

function decompresses(isal: Library): boolean {
  const output = new Uint8Array(200);
  const right = new Inflate(isal).step(sample, output);
  const text = Buffer.from(output.subarray(0, right.written)).toString();
  if (!right.done || right.taken !== sample.length || text !== "varve".repeat(20)) return false;
  // Every bit of the trailer counts.
  return [sample.length - 8, sample.length - 1].every((place) => {
    try {
      new Inflate(isal).step(sample.with(place, (sample[place] ?? 0) ^ 0x80), output);
      return false;
    } catch {
      return true;
    }
  });
}
