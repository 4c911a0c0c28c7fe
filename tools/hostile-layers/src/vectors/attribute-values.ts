/** `security.capability`, revision 2: cap_net_raw=ep. */
export const capability: Buffer = Buffer.from("0100000200200000000000000000000000000000", "hex");

interface ListEntry {
  readonly tag: number;
  readonly bits: number;
  readonly id?: number;
}

/** An access control list as the kernel takes it: a version, and entries of tag, bits and id. */
function list(entries: readonly ListEntry[]): Buffer {
  const bytes = Buffer.alloc(4 + entries.length * 8);
  bytes.writeUInt32LE(2, 0);
  for (const [at, { tag, bits, id }] of entries.entries()) {
    bytes.writeUInt16LE(tag, 4 + at * 8);
    bytes.writeUInt16LE(bits, 6 + at * 8);
    bytes.writeUInt32LE(id ?? 0xffff_ffff, 8 + at * 8);
  }
  return bytes;
}

const user = { tag: 2, id: 1000 };

/** user::rw-, user:1000:rwx, group::r-x, mask::rwx, other::r--. With it, the group's bits of the mode are the mask. */
export const access: Buffer = list([
  { tag: 1, bits: 6 },
  { ...user, bits: 7 },
  { tag: 4, bits: 5 },
  { tag: 16, bits: 7 },
  { tag: 32, bits: 4 },
]);

/** What a directory gives to what is made in it. */
export const inherited: Buffer = list([
  { tag: 1, bits: 7 },
  { ...user, bits: 7 },
  { tag: 4, bits: 0 },
  { tag: 16, bits: 7 },
  { tag: 32, bits: 0 },
]);

/** Without a mask, which a list with a user must have. */
export const badAccess: Buffer = list([
  { tag: 1, bits: 6 },
  { ...user, bits: 7 },
  { tag: 4, bits: 5 },
  { tag: 32, bits: 4 },
]);
