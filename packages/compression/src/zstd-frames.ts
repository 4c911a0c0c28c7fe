import { CodedError } from "@varve/errors";

/**
 * Follows the frames and blocks of a zstd stream (RFC 8878 section 3) without decompressing them. The decoder of Node 22
 * does not say whether a frame is complete and that of Node 26 ignores what is no frame, so we look ourselves.
 */
export interface ZstdFrames {
  /**
   * @throws Error the bytes are no sequence of zstd and skippable frames
   * @throws ERR_RESOURCE_EXHAUSTED a frame has a larger window than is allowed
   */
  feed(chunk: Uint8Array): void;
  /** Whether there is a frame, and the bytes so far end where one ends. */
  complete(): boolean;
}

const magicFrame = 0xfd2fb528;
const magicSkippable = 0x184d2a50;
const blockReserved = 3;
const blockRle = 1;

/** Starts before the first frame. */
export function createZstdFrames(maxWindow: number): ZstdFrames {
  return new FrameWalker(maxWindow);
}

type Part = "block" | "content-size" | "descriptor" | "magic" | "skip" | "skip-length" | "window";

class FrameWalker implements ZstdFrames {
  readonly #maxWindow: number;
  /** Little-endian number that is being collected, and how many of its bytes are there and make it whole. */
  #number = 0;
  #have = 0;
  #want = magicLength;
  #part: Part = "magic";
  #skip = 0;
  /** What follows the bytes that are being skipped. */
  #next: Part = "magic";
  #frame: FrameHeader = noFrame;
  #started = false;

  constructor(maxWindow: number) {
    this.#maxWindow = maxWindow;
  }

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
        if (this.#have === this.#want) this.#take();
      }
    }
  }

  complete(): boolean {
    return this.#started && this.#part === "magic" && this.#have === 0;
  }

  #take(): void {
    this.#started = true;
    const number = this.#number;
    if (this.#part === "magic") this.#magic(number);
    else if (this.#part === "skip-length") this.#jump(number, "magic");
    else if (this.#part === "descriptor") this.#descriptor(number);
    else if (this.#part === "window") this.#window(number);
    else if (this.#part === "content-size") this.#contentSize(number);
    else this.#block(number);
  }

  #magic(number: number): void {
    if (number === magicFrame) this.#collect("descriptor", 1);
    else if (number - (number % 16) === magicSkippable) this.#collect("skip-length", 4);
    else throw new Error("bytes that are no frame");
  }

  #descriptor(number: number): void {
    const singleSegment = (number & 0x20) !== 0;
    this.#frame = {
      checksum: (number & 0x04) !== 0,
      dictionary: [0, 1, 2, 4][number & 0x03] ?? 0,
      contentSize: [singleSegment ? 1 : 0, 2, 4, 8][number >> 6] ?? 0,
    };
    if (singleSegment) this.#jump(this.#frame.dictionary, "content-size");
    else this.#collect("window", 1);
  }

  #window(number: number): void {
    const base = 2 ** (10 + (number >> 3));
    this.#mayHave(base + (base / 8) * (number & 7));
    this.#jump(this.#frame.dictionary + this.#frame.contentSize, "block");
  }

  /** Without a window of its own, a frame has one as large as what is in it. */
  #contentSize(number: number): void {
    // Two bytes say what one could not.
    this.#mayHave(this.#frame.contentSize === 2 ? number + 256 : number);
    this.#collect("block", blockHeaderLength);
  }

  #mayHave(window: number): void {
    if (window <= this.#maxWindow) return;
    const why = `a frame has a window of ${window} bytes (maxWindow ${this.#maxWindow})`;
    throw new CodedError("ERR_RESOURCE_EXHAUSTED", `zstd: ${why}`);
  }

  #block(number: number): void {
    const last = (number & 1) === 1;
    const type = (number >> 1) & 3;
    if (type === blockReserved) throw new Error("a block of the reserved type");
    const size = type === blockRle ? 1 : number >> 3;
    if (last) this.#jump(size + (this.#frame.checksum ? 4 : 0), "magic");
    else this.#jump(size, "block");
  }

  #jump(bytes: number, next: Part): void {
    if (bytes === 0) this.#collect(next, this.#lengthOf(next));
    else {
      this.#skip = bytes;
      this.#next = next;
      this.#part = "skip";
    }
  }

  #lengthOf(part: Part): number {
    if (part === "magic") return magicLength;
    return part === "block" ? blockHeaderLength : this.#frame.contentSize;
  }

  #collect(part: Part, length: number): void {
    this.#part = part;
    this.#want = length;
    this.#number = 0;
    this.#have = 0;
  }
}

/** Lengths in bytes of what is optional in the header of a frame. */
interface FrameHeader {
  readonly checksum: boolean;
  readonly dictionary: number;
  readonly contentSize: number;
}

const noFrame: FrameHeader = { checksum: false, dictionary: 0, contentSize: 0 };
const magicLength = 4;
const blockHeaderLength = 3;
