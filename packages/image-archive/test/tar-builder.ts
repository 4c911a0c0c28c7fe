/** One entry of a crafted archive; whatever is left out has a usual value. */
export interface Spec {
  readonly name: string | Buffer;
  readonly content?: string | Uint8Array;
  readonly type?: string;
  readonly link?: string;
  /** The twelve bytes of the size field, if they are not to tell the length of the content. */
  readonly sizeField?: string | Buffer;
  /** An extended header before the entry, as records or as they are. */
  readonly pax?: Readonly<Record<string, string>> | Buffer;
  readonly magic?: string;
}

export const file = (name: string, content: string | Uint8Array, more: Partial<Spec> = {}): Spec => ({
  name,
  content,
  ...more,
});
export const directory = (name: string, more: Partial<Spec> = {}): Spec => ({ name, type: "5", ...more });
export const symlink = (name: string, link: string): Spec => ({ name, type: "2", link });
export const hardlink = (name: string, link: string): Spec => ({ name, type: "1", link });

/** A whole archive with its end mark. */
export function tar(...specs: readonly Spec[]): Buffer {
  return Buffer.concat([...specs.map(entry), Buffer.alloc(1024)]);
}

export function entry(spec: Spec): Buffer {
  const parts: Buffer[] = [];
  if (spec.pax !== undefined) parts.push(entry({ name: "pax", type: "x", content: paxBytes(spec.pax) }));
  const content = Buffer.from(spec.content ?? "");
  parts.push(header(spec, content.length), content, Buffer.alloc(-content.length & 511));
  return Buffer.concat(parts);
}

function paxBytes(records: Readonly<Record<string, string>> | Buffer): Buffer {
  if (Buffer.isBuffer(records)) return records;
  return Buffer.concat(Object.entries(records).map(([key, value]) => paxRecord(key, value)));
}

function paxRecord(key: string, value: string): Buffer {
  const rest = Buffer.from(` ${key}=${value}\n`);
  let length = rest.length + 1;
  while (`${length}`.length + rest.length !== length) length += 1;
  return Buffer.concat([Buffer.from(`${length}`), rest]);
}

function header(spec: Spec, size: number): Buffer {
  const block = Buffer.alloc(512);
  Buffer.from(spec.name).copy(block, 0, 0, 100);
  block.write("0000644\0", 100);
  block.write("0000000\0", 108);
  block.write("0000000\0", 116);
  Buffer.from(spec.sizeField ?? `${size.toString(8).padStart(11, "0")}\0`).copy(block, 124, 0, 12);
  block.write("00000000000\0", 136);
  block.write("        ", 148);
  block.write(spec.type ?? "0", 156);
  block.write(spec.link ?? "", 157, 100);
  block.write(spec.magic ?? "ustar\x0000", 257, "latin1");
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}

/** The bytes in pieces of `size`, as they may come from anywhere. */
export async function* pieces(bytes: Uint8Array, size = 1000): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += size) {
    await Promise.resolve();
    yield bytes.subarray(at, at + size);
  }
}

export async function gather(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}
