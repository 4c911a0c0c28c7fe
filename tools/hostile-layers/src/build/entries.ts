import { gnuMagic, header, type HeaderInit } from "./header.ts";
import { bytesOf } from "./numbers.ts";
import { pax, type PaxRecord } from "./pax.ts";

/** What an entry may say besides its name. */
export interface EntryInit extends Omit<HeaderInit, "name" | "type" | "link"> {
  /** Records of an extended header before the entry. */
  readonly pax?: Readonly<Record<string, string | Buffer>> | undefined;
}

type Name = string | Buffer;

/** A header with the content behind it, filled up to whole blocks. Whatever does not fit the header is said by pax. */
export function entry(init: HeaderInit & Pick<EntryInit, "pax">, content: Name = ""): Buffer {
  const [name, link, body] = [bytesOf(init.name), bytesOf(init.link ?? ""), bytesOf(content)];
  const records: PaxRecord[] = Object.entries(init.pax ?? {});
  const says = (key: string): boolean => records.some(([known]) => known === key);
  if (name.length > 100 && !says("path")) records.push(["path", name]);
  if (link.length > 100 && !says("linkpath")) records.push(["linkpath", link]);
  const parts = [header({ size: body.length, ...init }), body, padding(body.length)];
  return Buffer.concat(records.length === 0 ? parts : [pax(records), ...parts]);
}

export function file(name: Name, content: Name = "", more: EntryInit = {}): Buffer {
  return entry({ ...more, name }, content);
}

export function dir(name: Name, more: EntryInit = {}): Buffer {
  return entry({ mode: 0o755, ...more, name, type: "5" });
}

/** Name first, target second, as in `name -> target`. */
export function symlink(name: Name, link: Name, more: EntryInit = {}): Buffer {
  return entry({ mode: 0o777, ...more, name, link, type: "2" });
}

/** Name first, target second. */
export function hardlink(name: Name, link: Name, more: EntryInit = {}): Buffer {
  return entry({ ...more, name, link, type: "1" });
}

export function fifo(name: Name, more: EntryInit = {}): Buffer {
  return entry({ ...more, name, type: "6" });
}

export function char(name: Name, major: number, minor: number, more: EntryInit = {}): Buffer {
  return entry({ major, minor, ...more, name, type: "3" });
}

export function block(name: Name, major: number, minor: number, more: EntryInit = {}): Buffer {
  return entry({ major, minor, ...more, name, type: "4" });
}

/** Hides `name` of the layers below: `d/x` becomes `d/.wh.x`. */
export function whiteout(name: string): Buffer {
  const slash = name.lastIndexOf("/") + 1;
  return entry({ name: `${name.slice(0, slash)}.wh.${name.slice(slash)}` });
}

/** Makes a directory opaque; the root without a name. */
export function opaque(directory = ""): Buffer {
  return entry({ name: `${directory === "" ? "" : `${directory}/`}.wh..wh..opq` });
}

/** A long name (`L`) or long link target (`K`) of GNU, with the NUL that GNU ends it with. */
export function gnuLong(type: "K" | "L", value: Name, end = "\0"): Buffer {
  const content = Buffer.concat([bytesOf(value), Buffer.from(end)]);
  return entry({ name: "././@LongLink", type, magic: gnuMagic }, content);
}

/** Zeros up to the next block. */
function padding(length: number): Buffer {
  return Buffer.alloc(-length & 511);
}
