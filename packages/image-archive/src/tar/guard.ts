import { CodedError } from "@varve/errors";
import { entryError, quote } from "../subject.ts";
import { blockSize, hasContent, readHeaderBlock } from "./header-block.ts";
import type { HeaderBlock } from "./header-block.ts";
import { paxRecords } from "./pax-records.ts";

/** An extended header holds a name or two; the library would keep megabytes of each. */
const maxExtended = 16 * 1024;
const maxGlobal = 1024;

export interface GuardLimits {
  readonly maxBytes?: number | undefined;
  readonly maxEntries: number;
}

/**
 * Passes a tar on up to its end mark, and refuses what tar-stream would hang on, keep in memory, read past, or read otherwise than
 * others: content of directories and links, sizes that are no numbers, large or malformed extended headers, types that
 * it does not know, no end mark, bytes behind it. Everything is looked at before it is passed on.
 *
 * @throws ERR_INVALID_DATA, ERR_RESOURCE_EXHAUSTED the message names the entry or the limit
 */
export async function* guardTar(
  source: AsyncIterable<Uint8Array>,
  limits: GuardLimits,
): AsyncGenerator<Uint8Array, void, undefined> {
  const guard = new Guard(limits);
  for await (const chunk of source) {
    const good = guard.check(chunk);
    if (good > 0) yield chunk.subarray(0, good);
  }
  guard.end();
}

class Guard {
  readonly #limits: GuardLimits;
  /** The header block or the extended header that is being read. */
  #part: Buffer = Buffer.alloc(blockSize);
  #filled = 0;
  #state: "content" | "end" | "extended" | "header" = "header";
  /** Bytes of content, or of padding, that come before the next header. */
  #skip = 0;
  #header: HeaderBlock | undefined;
  /** What the extended header before an entry says of its size. */
  #paxSize: number | undefined;
  readonly #pending: Set<string> = new Set();
  #bytes = 0;
  #entries = 0;

  constructor(limits: GuardLimits) {
    this.#limits = limits;
  }

  /** Looks at the next bytes and says how many of them, from the first on, belong to the archive up to its end mark. */
  check(chunk: Uint8Array): number {
    this.#bytes += chunk.length;
    const { maxBytes = Infinity } = this.#limits;
    if (this.#bytes > maxBytes) throw exhausted(`more than ${maxBytes} bytes (maxBytes)`);
    let at = 0;
    while (at < chunk.length && this.#state !== "end") at += this.#take(chunk.subarray(at));
    if (this.#state === "end" && chunk.subarray(at).some((byte) => byte !== 0)) {
      throw new CodedError("ERR_INVALID_DATA", "archive: other bytes follow its end mark");
    }
    return at;
  }

  end(): void {
    if (this.#state === "end") return;
    const where = this.#header === undefined ? "" : `, after entry ${quote(this.#header.name)}`;
    throw new CodedError("ERR_INVALID_DATA", `archive: cut short: it ends without an end mark${where}`);
  }

  #take(chunk: Uint8Array): number {
    if (this.#state === "content") {
      const count = Math.min(this.#skip, chunk.length);
      this.#skip -= count;
      if (this.#skip === 0) this.#expect("header", blockSize);
      return count;
    }
    const count = Math.min(this.#part.length - this.#filled, chunk.length);
    this.#part.set(chunk.subarray(0, count), this.#filled);
    this.#filled += count;
    if (this.#filled === this.#part.length) this.#complete();
    return count;
  }

  #expect(state: "extended" | "header", size: number): void {
    this.#state = state;
    this.#filled = 0;
    if (this.#part.length !== size) this.#part = Buffer.alloc(size);
  }

  #follow(size: number): void {
    this.#skip = size;
    this.#state = "content";
    if (size === 0) this.#expect("header", blockSize);
  }

  #complete(): void {
    if (this.#state === "extended") {
      this.#readExtended();
      this.#follow(padding(this.#part.length));
    } else if (this.#part.every((byte) => byte === 0)) {
      if (this.#pending.size > 0) throw this.#fail("nothing follows this extended header");
      this.#state = "end";
    } else {
      this.#readHeader();
    }
  }

  #readHeader(): void {
    const header = readHeaderBlock(this.#part);
    this.#header = header;
    if ("xgLK".includes(header.type)) {
      const limit = header.type === "g" ? maxGlobal : maxExtended;
      if (header.size > limit)
        throw exhausted(`entry ${quote(header.name)}: an extended header of more than ${limit} bytes`);
      if (this.#pending.has(header.type)) throw this.#fail("two extended headers of one kind in a row");
      this.#pending.add(header.type);
      if (header.size === 0) this.#expect("header", blockSize);
      else this.#expect("extended", header.size);
      return;
    }
    this.#entries += 1;
    if (this.#entries > this.#limits.maxEntries) {
      throw exhausted(`more than ${this.#limits.maxEntries} entries (maxEntries)`);
    }
    const size = this.#paxSize ?? header.size;
    // Where both are set and differ, readers differ, too.
    if (header.size !== 0 && header.size !== size) throw this.#fail("two sizes");
    if (size !== 0 && !hasContent(header)) throw this.#fail("content of what can have none");
    this.#paxSize = undefined;
    this.#pending.clear();
    this.#follow(size + padding(size));
  }

  #readExtended(): void {
    const type = this.#header?.type;
    if (type !== "x" && type !== "g") return;
    const records = paxRecords(this.#part);
    if (records === undefined) throw this.#fail("malformed records");
    if (Array.from(records.keys()).some((key) => key.startsWith("GNU.sparse."))) throw this.#fail("a sparse file");
    if (type === "g" && ["path", "linkpath", "size"].some((key) => records.has(key))) {
      throw this.#fail("a name or a size for several entries");
    }
    const size = records.get("size");
    if (size === undefined) return;
    if (!/^[0-9]{1,16}$/.test(size) || !Number.isSafeInteger(Number(size))) throw this.#fail("its size is no number");
    this.#paxSize = Number(size);
  }

  #fail(why: string): CodedError {
    return entryError(this.#header?.name ?? "", why);
  }
}

function padding(size: number): number {
  return (blockSize - (size % blockSize)) % blockSize;
}

function exhausted(why: string): CodedError {
  return new CodedError("ERR_RESOURCE_EXHAUSTED", `archive: ${why}`);
}
