/** What a number field says: a number is written in octal, anything else as it is. */
export type Field = number | string | Buffer;

/** Puts a number field into a header, ended by NUL as GNU tar does. */
export function putField(block: Buffer, offset: number, length: number, value: Field): void {
  if (typeof value === "number") {
    block.write(value.toString(8).padStart(length - 1, "0"), offset, length - 1, "latin1");
  } else {
    block.fill(0, offset, offset + length);
    bytesOf(value).copy(block, offset, 0, length);
  }
}

/** A number in base-256 as GNU has it: the first bit is set, the rest is two's complement. */
export function base256(value: bigint, length: number): Buffer {
  const field = Buffer.alloc(length);
  let rest = BigInt.asUintN(length * 8, value);
  for (let at = length - 1; at >= 0; at -= 1) {
    field[at] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  field[0] = (field[0] ?? 0) | 0x80;
  return field;
}

/** Text as UTF-8; bytes as they are. */
export function bytesOf(value: string | Buffer): Buffer {
  return typeof value === "string" ? Buffer.from(value) : value;
}
