import { crc32 } from "node:zlib";

/** Reads the header of a gzip member (RFC 1952 section 2.3), as strictly as zlib. It keeps nothing of it. */
export interface GzipHeader {
  /** Whether nothing of the header was read yet. */
  readonly empty: boolean;
  readonly complete: boolean;
  /**
   * Takes as much of the input as belongs to the header, and tells how much that was.
   *
   * @throws Error it is no header
   */
  feed(input: Uint8Array): number;
}

export function createGzipHeader(): GzipHeader {
  return new HeaderReader();
}

type Part = "checksum" | "comment" | "end" | "extra" | "extra-length" | "fixed" | "name";

const hasChecksum = 0x02;
const hasExtra = 0x04;
const hasName = 0x08;
const hasComment = 0x10;
const reserved = 0xe0;

class HeaderReader implements GzipHeader {
  #part: Part = "fixed";
  /** Bytes of this part that are still missing; not for texts. */
  #missing = 10;
  /** The first bytes of parts that mean something. */
  #number: number[] = [];
  #flags = 0;
  #crc = 0;

  get empty(): boolean {
    return this.#part === "fixed" && this.#missing === 10;
  }

  get complete(): boolean {
    return this.#part === "end";
  }

  feed(input: Uint8Array): number {
    let taken = 0;
    while (taken < input.length && this.#part !== "end") taken += this.#feedPart(input.subarray(taken));
    return taken;
  }

  #feedPart(input: Uint8Array): number {
    if (this.#part === "name" || this.#part === "comment") {
      const end = input.indexOf(0);
      this.#crc = crc32(input.subarray(0, end < 0 ? input.length : end + 1), this.#crc);
      if (end < 0) return input.length;
      this.#follow(this.#part);
      return end + 1;
    }
    const bytes = input.subarray(0, this.#missing);
    // The checksum does not cover itself.
    if (this.#part !== "checksum") this.#crc = crc32(bytes, this.#crc);
    if (this.#part !== "extra") this.#number.push(...bytes);
    if (this.#part === "fixed") this.#mustBeGzip();
    this.#missing -= bytes.length;
    if (this.#missing === 0) this.#finish(this.#part);
    return bytes.length;
  }

  /** As early as the bytes are there. */
  #mustBeGzip(): void {
    const [first = 0x1f, second = 0x8b, method = 8, flags = 0] = this.#number;
    if (first !== 0x1f || second !== 0x8b) throw new Error("incorrect header check");
    if (method !== 8) throw new Error("unknown compression method");
    if ((flags & reserved) !== 0) throw new Error("unknown header flags set");
  }

  #finish(part: Part): void {
    const number = this.#number;
    this.#number = [];
    if (part === "fixed") this.#flags = number[3] ?? 0;
    const value = (number[0] ?? 0) + 256 * (number[1] ?? 0);
    if (part === "checksum" && value !== this.#crc % 65_536) throw new Error("header crc mismatch");
    if (part === "extra-length" && value > 0) this.#begin("extra", value);
    else this.#follow(part);
  }

  /** The next part that this header has. */
  #follow(part: Part): void {
    const flags = this.#flags;
    if (part === "fixed" && (flags & hasExtra) !== 0) this.#begin("extra-length", 2);
    else if (!["name", "comment", "checksum"].includes(part) && (flags & hasName) !== 0) this.#begin("name", 0);
    else if (!["comment", "checksum"].includes(part) && (flags & hasComment) !== 0) this.#begin("comment", 0);
    else if (part !== "checksum" && (flags & hasChecksum) !== 0) this.#begin("checksum", 2);
    else this.#begin("end", 0);
  }

  #begin(part: Part, missing: number): void {
    this.#part = part;
    this.#missing = missing;
  }
}
