import { CodedError } from "@varve/errors";

/** One line of a record file: bytes of the archive as they are, or what stands for a file's content. */
export type SplitRecord =
  | { readonly type: "segment"; readonly payload: Buffer }
  /** The sum is empty for an entry without content. */
  | { readonly type: "file"; readonly name: Buffer; readonly size: number; readonly sum: Buffer };

const longLine = 8 * 1024 * 1024;
/** As Go writes it, and all others. */
const longSegment = /^\{"type":2,"payload":"[^"\\]*","position":[0-9]+\}\s*$/;

/** Takes record files apart as their bytes come in. */
export class SplitRecordReader {
  readonly #subject: string;
  readonly #limit: number;
  /** The start of a line whose end is still to come. */
  #parts: Uint8Array[] = [];
  #held = 0;
  #line = 0;
  #position = 0;

  /** @param limit length of a line, in bytes */
  constructor(subject: string, limit: number) {
    this.#subject = subject;
    this.#limit = limit;
  }

  /** The records that end in this chunk, whose bytes must stay as they are until the last one was taken. */
  *read(chunk: Uint8Array): Generator<SplitRecord, void, undefined> {
    let at = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, at)) {
      const line = this.#complete(chunk.subarray(at, end));
      at = end + 1;
      const record = this.#parse(line);
      if (record !== undefined) yield record;
    }
    this.#hold(chunk.subarray(at));
  }

  /** The record that ends with the file. */
  *end(): Generator<SplitRecord, void, undefined> {
    const record = this.#parse(this.#complete(new Uint8Array(0)));
    if (record !== undefined) yield record;
  }

  #hold(bytes: Uint8Array): void {
    this.#held += bytes.length;
    if (this.#held > this.#limit) {
      const why = `more than the limit of ${this.#limit} (recordBytes)`;
      throw new CodedError("ERR_RESOURCE_EXHAUSTED", `${this.#subject}: record ${this.#line + 1}: ${why}`);
    }
    // The chunk is the caller's again when the next one is asked for.
    if (bytes.length > 0) this.#parts.push(Uint8Array.from(bytes));
  }

  #complete(last: Uint8Array): Buffer {
    if (this.#held === 0 && last.length <= this.#limit) return Buffer.from(last.buffer, last.byteOffset, last.length);
    this.#hold(last);
    const line = Buffer.concat(this.#parts);
    this.#parts = [];
    this.#held = 0;
    return line;
  }

  #parse(line: Buffer): SplitRecord | undefined {
    this.#line += 1;
    const text = line.toString();
    if (text.length < 8 && text.trim() === "") return undefined;
    // Brackets take forty times their length when they are parsed, and no name is as long as this.
    if (line.length > longLine && !longSegment.test(text)) throw this.#malformed("too long for anything but a segment");
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      throw this.#malformed("no JSON", error);
    }
    if (!isObject(value)) throw this.#malformed("no object");
    if (value["position"] !== this.#position) throw this.#malformed(`position is not ${this.#position}`);
    this.#position += 1;
    if (value["type"] === 2) return { type: "segment", payload: this.#bytes(value, "payload") };
    if (value["type"] !== 1) throw this.#malformed("unknown type");
    return this.#file(value);
  }

  #file(value: Readonly<Record<string, unknown>>): SplitRecord {
    const size = value["size"] ?? 0;
    if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) throw this.#malformed("wrong size");
    const sum = this.#bytes(value, "payload");
    if (size > 0 && sum.length !== 8) throw this.#malformed("the checksum has not 8 bytes");
    return { type: "file", name: this.#name(value), size, sum };
  }

  #name(value: Readonly<Record<string, unknown>>): Buffer {
    const raw = this.#bytes(value, "name_raw");
    if (raw.length > 0) return raw;
    const name = value["name"] ?? "";
    if (typeof name !== "string") throw this.#malformed("name is no string");
    return Buffer.from(name);
  }

  #bytes(value: Readonly<Record<string, unknown>>, key: string): Buffer {
    const text = value[key] ?? "";
    if (typeof text !== "string") throw this.#malformed(`${key} is no string`);
    const bytes = Buffer.from(text, "base64");
    // Node passes over what is not base64, which makes the result too short.
    const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
    if (text.length % 4 !== 0 || bytes.length !== (text.length / 4) * 3 - padding) {
      throw this.#malformed(`${key} is not base64`);
    }
    return bytes;
  }

  #malformed(why: string, cause?: unknown): CodedError {
    return new CodedError("ERR_INVALID_DATA", `${this.#subject}: tar-split record in line ${this.#line}: ${why}`, {
      cause,
    });
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
