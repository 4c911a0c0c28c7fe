import { overLimit, Refusal } from "../entry-error.ts";
import { checkGlobalRecords, parsePaxRecords, type PaxRecords, quoted } from "./pax-records.ts";
import { type SparseRecords, sparseRecords } from "./sparse-records.ts";
import type { RawHeader } from "./tar-header.ts";

const types = new Set(["K", "L", "g", "x"]);
const none: ReadonlyMap<string, Buffer> = new Map();
const xattrPrefix = "SCHILY.xattr.";

/** Whether a type flag stands for an extended header, whose content describes the entry that follows. */
export function isExtendedHeader(type: string): boolean {
  return types.has(type);
}

/** Collects the extended headers before an entry, and answers what they say about it. */
export class ExtendedHeaders {
  readonly #mostBytes: number;
  #offset: number | undefined;
  #pax: PaxRecords | undefined;
  #longName: Buffer | undefined;
  #longLink: Buffer | undefined;
  #sparse: SparseRecords | undefined;
  /** The one that is being read. */
  #type = "";
  #content: Buffer = Buffer.alloc(0);
  #have = 0;

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  get isEmpty(): boolean {
    return this.#offset === undefined;
  }

  /** Where the entry's first header is. */
  get offset(): number | undefined {
    return this.#offset;
  }

  /** What is said about a sparse file. */
  get sparse(): SparseRecords | undefined {
    return this.#sparse;
  }

  /** The next header of the entry, whatever its kind, is here. */
  startsAt(offset: number): void {
    this.#offset ??= offset;
  }

  /** Starts to read one. @throws ERR_RESOURCE_EXHAUSTED it is too large */
  begin({ type, size }: RawHeader, offset: number): void {
    if (size > this.#mostBytes) throw overLimit("headerBytes", this.#mostBytes);
    if (type !== "g") this.startsAt(offset);
    // Some readers forget what came before it.
    else if (!this.isEmpty) throw new Refusal("header-order", "a global extended header before its entry");
    this.#type = type;
    this.#content = Buffer.alloc(size);
    this.#have = 0;
  }

  /** Takes what belongs to it, and answers how many bytes. */
  take(bytes: Buffer, at: number): number {
    const length = bytes.copy(this.#content, this.#have, at, at + this.#content.length - this.#have);
    this.#have += length;
    return length;
  }

  /** Whether all of it is there; it counts from then on. */
  finish(): boolean {
    const content = this.#content;
    if (this.#have < content.length) return false;
    if (this.#type === "g") checkGlobalRecords(content);
    else if (this.#type === "L") this.#longName = only(this.#longName, longText(content));
    else if (this.#type === "K") this.#longLink = only(this.#longLink, longText(content));
    else {
      this.#pax = only(this.#pax, parsePaxRecords(content));
      this.#sparse = sparseRecords(this.#pax);
    }
    return true;
  }

  /** The entry is known, the next header is that of another. */
  clear(): void {
    if (this.#offset === undefined) return;
    this.#offset = undefined;
    this.#pax = undefined;
    this.#longName = undefined;
    this.#longLink = undefined;
    this.#sparse = undefined;
  }

  /** @throws a refusal if they name different entries */
  name(header: RawHeader): Buffer {
    return agreed(this.#longName, this.#paxName()) ?? header.name;
  }

  /** The name for a message, whether they agree or not. */
  anyName(header: RawHeader): Buffer {
    return this.#paxName() ?? this.#longName ?? header.name;
  }

  linkName(header: RawHeader): Buffer {
    return agreed(this.#longLink, this.text("linkpath")) ?? header.linkName;
  }

  /** The value of a record. An empty one takes the record back, which leaves what the header says. */
  text(key: string): Buffer | undefined {
    const value = this.#pax?.values.get(key);
    return value === undefined || value.length === 0 ? undefined : value;
  }

  xattrs(): ReadonlyMap<string, Buffer> {
    if (this.#pax === undefined) return none;
    let found: Map<string, Buffer> | undefined;
    for (const [key, value] of this.#pax.values) {
      if (!key.startsWith(xattrPrefix)) continue;
      if (key === xattrPrefix) throw new Refusal("xattr", `attribute ${quoted("")}`);
      (found ??= new Map<string, Buffer>()).set(key.slice(xattrPrefix.length), value);
    }
    return found ?? none;
  }

  #paxName(): Buffer | undefined {
    const real = this.#sparse === undefined ? undefined : this.text("GNU.sparse.name");
    return real ?? this.text("path");
  }
}

// Some readers take the first of two, others the last.
function only<T>(before: T | undefined, now: T): T {
  if (before === undefined) return now;
  throw new Refusal("header-order", "two extended headers of one kind before one entry");
}

// Go takes the GNU name of two, GNU tar that of pax.
function agreed(long: Buffer | undefined, pax: Buffer | undefined): Buffer | undefined {
  if (long === undefined || pax === undefined || long.equals(pax)) return pax ?? long;
  throw new Refusal("name-twice", "long name and extended header name different entries");
}

/** The text of a long name; some readers end it at the first NUL, others at the end. */
function longText(content: Buffer): Buffer {
  const nul = content.indexOf(0);
  const text = nul < 0 ? content : content.subarray(0, nul);
  for (let at = text.length; at < content.length; at += 1) {
    if (content[at] !== 0) throw new Refusal("name-nul", "a NUL in a long name");
  }
  // To some an empty one means the header's name.
  if (text.length === 0) throw new Refusal("name-twice", "an empty long name");
  return text;
}
