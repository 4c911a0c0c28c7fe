import { createTarWriter } from "@varve/archive";
import type { TarEntryInit } from "@varve/archive";

/** One entry; whatever is left out has a usual value. */
export interface Item extends Partial<Omit<TarEntryInit, "linkName" | "name" | "size">> {
  readonly name: string | Buffer;
  readonly content?: string | Uint8Array | undefined;
  readonly link?: string | undefined;
}

export const dir = (name: string): Item => ({ name, type: "directory", mode: 0o755 });
export const file = (name: string | Buffer, content: string | Uint8Array = ""): Item => ({ name, content });
export const symlink = (name: string, link: string): Item => ({ name, link, type: "symlink" });
export const hardlink = (name: string, link: string): Item => ({ name, link, type: "hardlink" });
/** The entry that hides `name`. */
export const whiteout = (name: string): Item => ({ name: name.replace(/[^/]*$/, ".wh.$&") });
export const opaque = (name: string): Item => ({ name: `${name}/.wh..wh..opq` });

/** An archive of these entries. */
export function layerOf(items: Iterable<Item>): Buffer {
  const blocks: Buffer[] = [];
  const writer = createTarWriter((block) => blocks.push(Buffer.from(block)));
  for (const { name, content = "", link, ...more } of items) {
    const bytes = Buffer.from(content);
    writer.entry({
      type: "file",
      mode: 0o644,
      uid: 0,
      gid: 0,
      mtime: { seconds: 1_600_000_000, nanoseconds: 0 },
      ...more,
      name: Buffer.from(name),
      size: bytes.length,
      linkName: link === undefined ? undefined : Buffer.from(link),
    });
    writer.data(bytes);
  }
  writer.end();
  return Buffer.concat(blocks);
}
