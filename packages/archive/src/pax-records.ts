/** The records of one pax extended header (POSIX pax, "Extended Header"). Keys have one character a byte. */
export interface PaxRecords {
  readonly values: ReadonlyMap<string, Buffer>;
  /** Numbers of `GNU.sparse.offset` and `GNU.sparse.numbytes`, which come in turns and many times. */
  readonly sparse: readonly string[];
}

const sparsePart = new Set(["GNU.sparse.offset", "GNU.sparse.numbytes"]);
/** Records whose values may not hold a NUL, for the kernel would stop there. */
const texts = new Set(["path", "linkpath", "GNU.sparse.name"]);

/** Reads extended header records; the answer is the reason when they are malformed. */
export function parsePaxRecords(data: Buffer): PaxRecords | string {
  const values = new Map<string, Buffer>();
  const sparse: string[] = [];
  for (let at = 0; at < data.length;) {
    const blank = data.indexOf(0x20, at);
    const length = blank < 0 ? undefined : recordLength(data.toString("latin1", at, Math.min(blank, at + 20)));
    const end = at + (length ?? 0);
    if (length === undefined || end > data.length || end <= blank + 1) return "extended header has a wrong length";
    const equals = data.indexOf(0x3d, blank);
    if (equals < 0 || equals >= end - 1 || equals === blank + 1 || data[end - 1] !== 0x0a) {
      return "extended header has a malformed record";
    }
    const key = data.toString("latin1", blank + 1, equals);
    const value = Buffer.from(data.subarray(equals + 1, end - 1));
    if (key.includes("\0") || (texts.has(key) && value.includes(0))) return "extended header has a NUL in a text";
    if (sparsePart.has(key)) sparse.push(value.toString("latin1"));
    else values.set(key, value);
    at = end;
  }
  return { values, sparse };
}

function recordLength(text: string): number | undefined {
  return /^[1-9][0-9]{0,9}$/.test(text) ? Number(text) : undefined;
}
