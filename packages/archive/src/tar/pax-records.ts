import { printableName, Refusal } from "../entry-error.ts";

/** The records of one pax extended header (POSIX pax, "Extended Header"). Keys have one character a byte. */
export interface PaxRecords {
  readonly values: ReadonlyMap<string, Buffer>;
  /** Numbers of `GNU.sparse.offset` and `GNU.sparse.numbytes`, which come in turns and many times. */
  readonly sparse: readonly string[];
}

const sparseParts = ["GNU.sparse.offset", "GNU.sparse.numbytes"];
/** Records whose values may not hold a NUL, for the kernel would stop there. */
const texts = new Set(["path", "linkpath", "GNU.sparse.name"]);

/**
 * Reads extended header records. POSIX lets the last of two records win; not every reader does, and no writer needs it,
 * so two that differ are refused.
 */
export function parsePaxRecords(data: Buffer): PaxRecords {
  const values = new Map<string, Buffer>();
  const sparse: string[] = [];
  for (let at = 0; at < data.length;) {
    const { key, value, end } = parseRecord(data, at);
    if (sparseParts.includes(key)) {
      if (key !== sparseParts[sparse.length % 2])
        throw new Refusal("sparse-map", "offsets and lengths do not take turns");
      sparse.push(value.toString("latin1"));
    } else {
      if (values.get(key)?.equals(value) === false)
        throw new Refusal("pax-twice", `record ${quoted(key)} has two values`);
      values.set(key, value);
    }
    at = end;
  }
  return { values, sparse };
}

function parseRecord(data: Buffer, at: number): { key: string; value: Buffer; end: number } {
  const blank = data.indexOf(0x20, at);
  const length = blank < 0 ? undefined : recordLength(data.toString("latin1", at, Math.min(blank, at + 20)));
  const end = at + (length ?? 0);
  if (length === undefined || end > data.length || end <= blank + 1) throw malformed("a wrong length");
  const equals = data.indexOf(0x3d, blank);
  if (equals < 0 || equals >= end - 1 || equals === blank + 1 || data[end - 1] !== 0x0a) {
    throw malformed("a malformed record");
  }
  const key = data.toString("latin1", blank + 1, equals);
  const value = Buffer.from(data.subarray(equals + 1, end - 1));
  if (key.includes("\0") || (texts.has(key) && value.includes(0))) {
    throw new Refusal("name-nul", `extended header has a NUL in ${quoted(key)}`);
  }
  return { key, value, end };
}

function recordLength(text: string): number | undefined {
  return /^[1-9][0-9]{0,9}$/.test(text) ? Number(text) : undefined;
}

function malformed(why: string): Refusal {
  return new Refusal("pax-record", `extended header has ${why}`);
}

/** Some attribute's or record's name for a message. */
export function quoted(key: string): string {
  return `"${printableName(key)}"`;
}

/**
 * Records that make other entries of the same bytes, or give them other owners or attributes. What star says of a whole
 * archive (its release, the format, the volume) is none of them.
 */
const changing =
  /^(?:path|linkpath|size|uid|gid|GNU\.sparse\..*|SCHILY\.(?!(?:archtype|release|volhdr\..*|volno)$).*|LIBARCHIVE\.xattr\..*)$/s;

/**
 * Checks a global extended header. GNU tar and Python apply its records to all entries that follow, the readers of
 * container engines to none; so those that matter are refused. All others (comments, times) are passed over.
 */
export function checkGlobalRecords(data: Buffer): void {
  for (const key of parsePaxRecords(data).values.keys()) {
    if (changing.test(key)) {
      throw new Refusal("pax-global", `global extended header has the record ${quoted(key)}`);
    }
  }
}
