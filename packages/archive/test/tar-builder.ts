/** One entry of a crafted archive. Names are text (UTF-8) or bytes; whatever is left out has a usual value. */
export interface Spec {
  readonly name: string | Buffer;
  readonly type?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly link?: string | Buffer;
  readonly content?: string | Buffer;
  /** What the size field says, if not the length of the content. */
  readonly size?: number;
  readonly major?: number;
  readonly minor?: number;
  /** Records of an extended header before the entry. */
  readonly pax?: Readonly<Record<string, string | Buffer>>;
  /** Raw bytes put over the header before its checksum is made. */
  readonly raw?: readonly (readonly [offset: number, bytes: Buffer])[];
  readonly magic?: string;
}

export const dir = (name: string, more: Partial<Spec> = {}): Spec => ({ name, type: "5", mode: 0o755, ...more });
export const file = (name: string | Buffer, content: string | Buffer = "", more: Partial<Spec> = {}): Spec => ({
  name,
  content,
  ...more,
});
export const symlink = (link: string, name: string): Spec => ({ name, type: "2", link, mode: 0o777 });
export const hardlink = (link: string, name: string): Spec => ({ name, type: "1", link });
export const whiteout = (name: string): Spec => ({ name });

/** A whole archive with its end mark. */
export function tar(...specs: readonly Spec[]): Buffer {
  return Buffer.concat([...specs.map(entry), Buffer.alloc(1024)]);
}

/** One entry, with an extended header when something does not fit. */
export function entry(spec: Spec): Buffer {
  const name = bytes(spec.name);
  const link = bytes(spec.link ?? "");
  const records: [string, string | Buffer][] = Object.entries(spec.pax ?? {});
  if (name.length > 100) records.push(["path", name]);
  if (link.length > 100) records.push(["linkpath", link]);
  const content = bytes(spec.content ?? "");
  const parts = [header(spec, name, link, content.length), content, Buffer.alloc(-content.length & 511)];
  return records.length === 0 ? Buffer.concat(parts) : Buffer.concat([extended("x", records), ...parts]);
}

/** An extended header. */
export function extended(type: string, records: readonly (readonly [string, string | Buffer])[]): Buffer {
  const content = Buffer.concat(records.map(([key, value]) => record(key, value)));
  return entry({ name: "PaxHeader", type, content });
}

/** One record with the length that it has itself. */
export function record(key: string, value: string | Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(` ${key}=`, "latin1"), bytes(value), Buffer.from("\n")]);
  let length = body.length + 1;
  while (String(length).length + body.length !== length) length += 1;
  return Buffer.concat([Buffer.from(String(length)), body]);
}

function header(spec: Spec, name: Buffer, link: Buffer, length: number): Buffer {
  const block = Buffer.alloc(512);
  name.copy(block, 0, 0, 100);
  octal(block, 100, 8, spec.mode ?? 0o644);
  octal(block, 108, 8, spec.uid ?? 0);
  octal(block, 116, 8, spec.gid ?? 0);
  octal(block, 124, 12, spec.size ?? length);
  octal(block, 136, 12, spec.mtime ?? 1_600_000_000);
  block.write(spec.type ?? "0", 156, "latin1");
  link.copy(block, 157, 0, 100);
  block.write(spec.magic ?? "ustar\u000000", 257, "latin1");
  octal(block, 329, 8, spec.major ?? 0);
  octal(block, 337, 8, spec.minor ?? 0);
  for (const [offset, data] of spec.raw ?? []) data.copy(block, offset);
  return checksummed(block);
}

/** Puts the right checksum into a header. */
export function checksummed(block: Buffer): Buffer {
  block.fill(0x20, 148, 156);
  const sum = block.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

function octal(block: Buffer, offset: number, length: number, value: number): void {
  block.write(value.toString(8).padStart(length - 1, "0"), offset, length - 1, "latin1");
}

function bytes(value: string | Buffer): Buffer {
  return typeof value === "string" ? Buffer.from(value) : value;
}
