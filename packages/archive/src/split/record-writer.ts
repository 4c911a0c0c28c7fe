import { isUtf8 } from "node:buffer";

/** Longer segments are cut, so that whoever reads them needs no more memory than this. */
const segmentBytes = 1024 * 1024;
/** Records are handed out in stretches of this size at most, but for single ones that are longer. */
const batchBytes = 64 * 1024;

/** Go escapes these in strings, for the sake of HTML. */
const escapes: Readonly<Record<string, string>> = {
  "<": String.raw`\u003c`,
  ">": String.raw`\u003e`,
  "&": String.raw`\u0026`,
  "\u2028": String.raw`\u2028`,
  "\u2029": String.raw`\u2029`,
};

/** Writes records as lines of JSON, in the form and the order of fields that Go's tar-split has. */
export class RecordWriter {
  readonly #sink: (records: Uint8Array) => void;
  #segment: Buffer = Buffer.allocUnsafeSlow(8 * 1024);
  #length = 0;
  /** Lines that are not handed out yet. */
  #batch: Buffer = Buffer.allocUnsafeSlow(batchBytes);
  #filled = 0;
  #count = 0;

  constructor(sink: (records: Uint8Array) => void) {
    this.#sink = sink;
  }

  get count(): number {
    return this.#count;
  }

  /** Adds bytes of a block to the segment that is being collected. */
  add(block: Buffer, start: number, end: number): void {
    for (let at = start; at < end;) {
      const length = Math.min(end - at, segmentBytes - this.#length);
      if (this.#length + length > this.#segment.length) this.#grow(this.#length + length);
      block.copy(this.#segment, this.#length, at, at + length);
      this.#length += length;
      at += length;
      if (this.#length === segmentBytes) this.endSegment();
    }
  }

  /** Ends the segment that is being collected, if there is any. */
  endSegment(): void {
    if (this.#length === 0) return;
    const payload = this.#segment.toString("base64", 0, this.#length);
    this.#length = 0;
    this.#line(`{"type":2,"payload":"${payload}"`, "latin1");
  }

  /** Ends the segment and stands for a file's content; without a sum for an entry that has none. */
  file(name: Buffer, size: number, sum: Buffer | undefined): void {
    this.endSegment();
    const sizeField = size === 0 ? "" : `,"size":${size}`;
    const payload = sum === undefined ? "null" : `"${sum.toString("base64")}"`;
    this.#line(`{"type":1${nameField(name)}${sizeField},"payload":${payload}`, "utf8");
  }

  flush(): void {
    if (this.#filled === 0) return;
    const records = this.#batch.subarray(0, this.#filled);
    this.#batch = Buffer.allocUnsafeSlow(batchBytes);
    this.#filled = 0;
    this.#sink(records);
  }

  #line(start: string, encoding: "latin1" | "utf8"): void {
    const line = `${start},"position":${this.#count}}\n`;
    this.#count += 1;
    const most = encoding === "utf8" ? line.length * 3 : line.length;
    if (most > batchBytes - this.#filled) this.flush();
    if (most > batchBytes) this.#sink(Buffer.from(line, encoding));
    else this.#filled += this.#batch.write(line, this.#filled, encoding);
  }

  #grow(needed: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.min(segmentBytes, Math.max(needed, this.#segment.length * 2)));
    this.#segment.copy(larger, 0, 0, this.#length);
    this.#segment = larger;
  }
}

function nameField(name: Buffer): string {
  if (name.length === 0) return "";
  if (!isUtf8(name)) return `,"name_raw":"${name.toString("base64")}"`;
  const text = JSON.stringify(name.toString()).replaceAll(/[<>&\u2028\u2029]/g, (found) => escapes[found] ?? found);
  return `,"name":${text}`;
}
