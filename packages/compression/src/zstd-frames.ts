/**
 * Follows the frames and blocks of a zstd stream (RFC 8878 section 3) without decompressing them. The decoder of Node 22
 * does not say whether a frame is complete and that of Node 26 ignores what is no frame, so we look ourselves.
 */
export interface ZstdFrames {
  /** @throws Error the bytes are no sequence of zstd and skippable frames */
  feed(chunk: Uint8Array): void;
  /** Whether there is a frame, and the bytes so far end where one ends. */
  complete(): boolean;
}

const magicFrame = 0xfd2fb528;
const magicSkippable = 0x184d2a50;
const blockReserved = 3;
const blockRle = 1;

/** Starts before the first frame. */
export function createZstdFrames(): ZstdFrames {
  return new FrameWalker();
}

type Part = "block" | "descriptor" | "magic" | "skip" | "skip-length";

class FrameWalker implements ZstdFrames {
  /** Little-endian number that is being collected, and how many of its bytes are there. */
  #number = 0;
  #have = 0;
  #part: Part = "magic";
  #skip = 0;
  /** What follows the bytes that are being skipped. */
  #next: Part = "magic";
  #checksum = false;
  #started = false;

  feed(chunk: Uint8Array): void {
    let offset = 0;
    while (offset < chunk.length) {
      if (this.#part === "skip") {
        const step = Math.min(this.#skip, chunk.length - offset);
        offset += step;
        this.#jump(this.#skip - step, this.#next);
      } else {
        this.#number += (chunk[offset] ?? 0) * 2 ** (8 * this.#have);
        this.#have += 1;
        offset += 1;
        if (this.#have === lengths[this.#part]) this.#take();
      }
    }
  }

  complete(): boolean {
    return this.#started && this.#part === "magic" && this.#have === 0;
  }

  #take(): void {
    this.#started = true;
    const number = this.#number;
    this.#number = 0;
    this.#have = 0;
    if (this.#part === "magic") this.#magic(number);
    else if (this.#part === "skip-length") this.#jump(number, "magic");
    else if (this.#part === "descriptor") this.#descriptor(number);
    else this.#block(number);
  }

  #magic(number: number): void {
    if (number === magicFrame) this.#part = "descriptor";
    else if (number - (number % 16) === magicSkippable) this.#part = "skip-length";
    else throw new Error("bytes that are no frame");
  }

  #descriptor(number: number): void {
    const singleSegment = (number & 0x20) !== 0;
    this.#checksum = (number & 0x04) !== 0;
    const contentSize = [singleSegment ? 1 : 0, 2, 4, 8][number >> 6] ?? 0;
    const dictionary = [0, 1, 2, 4][number & 0x03] ?? 0;
    this.#jump((singleSegment ? 0 : 1) + dictionary + contentSize, "block");
  }

  #block(number: number): void {
    const last = (number & 1) === 1;
    const type = (number >> 1) & 3;
    if (type === blockReserved) throw new Error("a block of the reserved type");
    const size = type === blockRle ? 1 : number >> 3;
    if (last) this.#jump(size + (this.#checksum ? 4 : 0), "magic");
    else this.#jump(size, "block");
  }

  #jump(bytes: number, next: Part): void {
    this.#skip = bytes;
    this.#next = next;
    this.#part = bytes === 0 ? next : "skip";
  }
}

const lengths: Readonly<Record<Part, number>> = { magic: 4, "skip-length": 4, descriptor: 1, block: 3, skip: 0 };
