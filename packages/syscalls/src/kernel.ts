import { CodedError } from "@varve/errors";
import { EINTR, EINVAL, ENAMETOOLONG } from "./constants.ts";
import { loadKoffi } from "./koffi.ts";
import type { Koffi } from "./koffi.ts";
import { syscallNumbers } from "./numbers.ts";
import type { SyscallNumbers } from "./numbers.ts";
import type { PathLike } from "./path-like.ts";
import { printablePath } from "./printable-path.ts";

type Word = number | bigint;
interface Syscall {
  (number: number, a: number, b: number, c: number, d: number, e: number, f: number): Word;
  async(
    number: number,
    a: number,
    b: number,
    c: number,
    d: number,
    e: number,
    f: number,
    done: (error: unknown, result: Word) => void,
  ): void;
}

/** Longest path the kernel takes, the end mark not counted. */
const PATH_BYTES = 4095;

/** koffi refuses more than 256 calls in the background at a time. */
const MAX_BACKGROUND_CALLS = 200;

/** Where each kind of argument lies in the scratch memory; no two arguments of one call share a place. */
export const FIRST_PATH = 0;
export const SECOND_PATH = 4096;
export const THIRD_PATH = 8192;
export const FIELDS = 12_288;
export const BULK = 16_384;
/** The largest extended attribute, attribute list and directory batch: 64 KiB, as the kernel has it. */
export const BULK_BYTES = 65_536;

/**
 * The one door to the kernel.
 *
 * Everything goes through one prototype of syscall(2), seven machine words, because a wrong prototype is memory
 * corruption. Pointers are only ever made to this object's own scratch memory: no caller's buffer reaches the kernel,
 * and nothing can move or be freed under it. Each thread that imports the module has its own.
 */
export class Kernel {
  readonly numbers: SyscallNumbers;
  readonly bytes: Buffer;
  readonly view: DataView;
  readonly #address: number;
  readonly #syscall: Syscall;
  readonly #koffi: Koffi;
  /** The memory of calls in the background, kept from the garbage collector until they are done. */
  readonly #inBackground: Set<ArrayBuffer> = new Set();

  constructor(koffi: Koffi, numbers: SyscallNumbers) {
    // As long as this: V8 keeps small typed arrays inside its heap, where they move.
    const memory = new ArrayBuffer(BULK + BULK_BYTES);
    this.bytes = Buffer.from(memory);
    this.view = new DataView(memory);
    this.#address = Number(koffi.address(memory));
    this.numbers = numbers;
    const word = "intptr_t";
    // `null` is the program itself: glibc or musl, whichever this Node was linked with.
    this.#syscall = koffi.load(null).func("syscall", word, [word, word, word, word, word, word, word]);
    this.#koffi = koffi;
  }

  /** The result, or the negative error number. Repeats what a signal interrupted. */
  call(number: number, a = 0, b = 0, c = 0, d = 0, e = 0, f = 0): number {
    for (;;) {
      const result = this.#syscall(number, a, b, c, d, e, f);
      if (result !== -1) return Number(result);
      const errno = this.#koffi.errno();
      // Linux has closed the descriptor even then; a second close could hit somebody else's.
      if (errno !== EINTR || number === this.numbers.close) return -errno;
    }
  }

  /**
   * As `call`, in a thread of the pool, for what may wait for a disk. The result comes later, so a path must lie in
   * memory of its own and not in the scratch memory.
   *
   * @param path goes before the other arguments, if there is one
   */
  callInBackground(number: number, path: PathLike | undefined, argument: number): Promise<number> {
    const memory = new ArrayBuffer(PATH_BYTES + 1);
    const address = this.#copyPath(path, memory);
    if (address < 0) return Promise.resolve(address);
    const [a, b] = path === undefined ? [argument, 0] : [address, argument];
    if (this.#inBackground.size >= MAX_BACKGROUND_CALLS) return Promise.resolve(this.call(number, a, b));
    this.#inBackground.add(memory);
    return new Promise((resolve, reject) => {
      this.#syscall.async(number, a, b, 0, 0, 0, 0, (error, result) => {
        const errno = result === -1 ? this.#koffi.errno() : 0;
        this.#inBackground.delete(memory);
        if (error !== null && error !== undefined) reject(error);
        else resolve(result === -1 ? -errno : Number(result));
      });
    });
  }

  #copyPath(path: PathLike | undefined, memory: ArrayBuffer): number {
    if (path === undefined) return 0;
    const result = this.path(path, FIRST_PATH);
    if (result < 0) return result;
    const end = this.bytes.indexOf(0, FIRST_PATH);
    this.bytes.copy(Buffer.from(memory), 0, FIRST_PATH, end);
    return Number(this.#koffi.address(memory));
  }

  /** The address of scratch memory at `offset`. */
  at(offset: number): number {
    return this.#address + offset;
  }

  /** Writes a path with its end mark and returns its address, or the negative error number. Zero is neither. */
  path(path: PathLike, offset: number): number {
    return this.text(path, offset, PATH_BYTES);
  }

  /** As `path`, with a limit of its own; the end mark comes on top of `limit`. */
  text(text: PathLike, offset: number, limit: number): number {
    // The kernel would stop at the first zero byte and so act on another file than the caller checked.
    if (typeof text === "string" ? text.includes("\0") : text.includes(0)) {
      throw new CodedError("ERR_INVALID_ARGUMENT", `path ${printablePath(text)}: contains a zero byte`);
    }
    const length = this.#write(text, offset, limit);
    if (length < 0) return -ENAMETOOLONG;
    this.bytes[offset + length] = 0;
    return this.#address + offset;
  }

  /** Copies bytes in and returns their address, or the negative error number when there are too many. */
  data(data: Uint8Array, offset: number, limit: number): number {
    if (data.length > limit) return -EINVAL;
    this.bytes.set(data, offset);
    return this.#address + offset;
  }

  #write(text: PathLike, offset: number, limit: number): number {
    if (typeof text !== "string") {
      if (text.length > limit) return -1;
      this.bytes.set(text, offset);
      return text.length;
    }
    // A UTF-16 unit is at most three bytes of UTF-8, so only long text needs to be measured.
    if (text.length * 3 > limit && Buffer.byteLength(text) > limit) return -1;
    return this.bytes.write(text, offset, limit, "utf8");
  }
}

let opened: Kernel | undefined;

/** @throws ERR_NOT_IMPLEMENTED this is not Linux, the architecture is unknown, or koffi is not installed */
export function kernel(): Kernel {
  opened ??= open();
  return opened;
}

/** Whether the calls of this package can be made at all: Linux, a known architecture, and koffi installed. */
export function isSupported(): boolean {
  try {
    kernel();
    return true;
  } catch {
    return false;
  }
}

function open(): Kernel {
  if (process.platform !== "linux") {
    throw new CodedError("ERR_NOT_IMPLEMENTED", `system calls: ${process.platform} is not supported, only linux is`);
  }
  const numbers = syscallNumbers(process.arch);
  if (numbers === undefined) {
    throw new CodedError("ERR_NOT_IMPLEMENTED", `system calls: architecture ${process.arch} is not supported`);
  }
  try {
    return new Kernel(loadKoffi(), numbers);
  } catch (cause) {
    throw new CodedError("ERR_NOT_IMPLEMENTED", "system calls: the package koffi cannot be loaded", { cause });
  }
}
