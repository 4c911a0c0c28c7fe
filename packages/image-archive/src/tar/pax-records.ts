/**
 * The records of an extended header, read strictly: `length key=value\n`, the length in decimal and right. `undefined` if they are
 * not of that form, or give one key twice.
 */
export function paxRecords(bytes: Uint8Array): ReadonlyMap<string, string> | undefined {
  const records = new Map<string, string>();
  const content = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let start = 0; start < content.length;) {
    const space = content.indexOf(0x20, start);
    const digits = space < 0 ? "" : content.toString("latin1", start, Math.min(space, start + 8));
    if (!/^[1-9][0-9]{0,5}$/.test(digits)) return undefined;
    const end = start + Number(digits);
    const equals = content.indexOf(0x3d, space);
    if (end > content.length || content[end - 1] !== 0x0a || equals < 0 || equals >= end) return undefined;
    const key = content.toString("utf8", space + 1, equals);
    if (key === "" || records.has(key)) return undefined;
    records.set(key, content.toString("utf8", equals + 1, end - 1));
    start = end;
  }
  return records;
}
