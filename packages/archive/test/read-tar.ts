import { createTarReader, type TarEntry } from "@varve/archive";

export type Read = TarEntry & { readonly content: Buffer };

/** Reads an archive in pieces of some sizes. */
export function read(
  archive: Buffer,
  sizes: readonly number[] = [archive.length || 1],
  headerBytes?: number,
  subject?: string,
): Read[] {
  const found: Read[] = [];
  let content = Buffer.alloc(0);
  let current: TarEntry | undefined;
  const reader = createTarReader(
    {
      entry: (next) => {
        current = next;
        content = Buffer.alloc(next.size);
      },
      data: (bytes, position) => content.set(bytes, position),
      done: () => {
        if (current !== undefined) found.push({ ...current, content });
      },
    },
    { headerBytes, subject },
  );
  for (let at = 0, turn = 0; at < archive.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1;
    // The bytes are gone when the call returns.
    const block = Buffer.from(archive.subarray(at, at + size));
    reader.write(block);
    block.fill(0xee);
    at += size;
  }
  reader.end();
  return found;
}
