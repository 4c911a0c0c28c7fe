import type { Change, ChangeKind } from "@varve/archive";

const kinds: readonly ChangeKind[] = ["added", "deleted", "modified"];
const headBytes = 5;

/** One change for a stream between threads: its kind in a byte, the length of the path in four, the path. */
export function encodeChange({ kind, path }: Change): Uint8Array {
  const bytes = Buffer.allocUnsafe(headBytes + path.length);
  bytes.writeUInt8(kinds.indexOf(kind), 0);
  bytes.writeUInt32LE(path.length, 1);
  bytes.set(path, headBytes);
  return bytes;
}

/** Reads what was encoded, however it was cut. */
export function* decodeChanges(blocks: Iterable<Buffer>): Generator<Change, void, undefined> {
  let rest: Buffer = Buffer.alloc(0);
  for (const block of blocks) {
    const bytes = rest.length === 0 ? block : Buffer.concat([rest, block]);
    let start = 0;
    for (;;) {
      const path = start + headBytes;
      if (path > bytes.length || path + bytes.readUInt32LE(start + 1) > bytes.length) break;
      const end = path + bytes.readUInt32LE(start + 1);
      yield { kind: kinds[bytes.readUInt8(start)] ?? "modified", path: bytes.subarray(path, end) };
      start = end;
    }
    rest = bytes.subarray(start);
  }
}
