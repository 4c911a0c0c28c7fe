import { file } from "./entries.ts";
import { gnuMagic, header } from "./header.ts";
import { paxRecord, rawPax } from "./pax.ts";

export type Piece = readonly [offset: number | Buffer, length: number | Buffer];

const octal = (value: number | Buffer): Buffer =>
  Buffer.isBuffer(value) ? value : Buffer.from(`${value.toString(8).padStart(11, "0")}\0`);

/** An old GNU header: type S, up to four pieces, the rest in blocks of 21 behind it. */
export function gnu(
  pieces: readonly Piece[],
  data: string,
  size: number | Buffer,
  more: { readonly extended?: boolean } = {},
): Buffer {
  const raw = pieces.slice(0, 4).flatMap(
    ([offset, length], at) =>
      [
        [386 + at * 24, octal(offset)],
        [398 + at * 24, octal(length)],
      ] as const,
  );
  const extended = more.extended ?? pieces.length > 4;
  const block = header({
    name: "s",
    type: "S",
    magic: gnuMagic,
    size: data.length,
    raw: [...raw, [482, Buffer.from([extended ? 1 : 0])], [483, octal(size)]],
  });
  const blocks: Buffer[] = [];
  for (let at = 4; at < pieces.length; at += 21) {
    const next = Buffer.alloc(512);
    for (const [index, [offset, length]] of pieces.slice(at, at + 21).entries()) {
      octal(offset).copy(next, index * 24);
      octal(length).copy(next, index * 24 + 12);
    }
    next[504] = at + 21 < pieces.length ? 1 : 0;
    blocks.push(next);
  }
  return Buffer.concat([block, ...blocks, Buffer.from(data), Buffer.alloc(-data.length & 511)]);
}

/** Format 1.0: the map stands before the content. */
export function one(map: string, data: string, size: string, more: Readonly<Record<string, string>> = {}): Buffer {
  const text = Buffer.from(map);
  const body = Buffer.concat([text, Buffer.alloc(-text.length & 511), Buffer.from(data)]);
  return file("GNUSparseFile.0/s", body, {
    pax: {
      "GNU.sparse.major": "1",
      "GNU.sparse.minor": "0",
      "GNU.sparse.name": "s",
      "GNU.sparse.realsize": size,
      ...more,
    },
  });
}

/** Format 0.1: the map is a record. */
export const mapped = (map: string, data: string, size: string, count = "2"): Buffer =>
  file("s", data, { pax: { "GNU.sparse.size": size, "GNU.sparse.numblocks": count, "GNU.sparse.map": map } });

/** Format 0.0: a record for each number. */
export function zero(pieces: readonly (readonly [string, string])[], data: string, size: string): Buffer {
  const records = pieces.flatMap(([offset, length]) => [
    paxRecord("GNU.sparse.offset", offset),
    paxRecord("GNU.sparse.numbytes", length),
  ]);
  return Buffer.concat([
    rawPax(
      Buffer.concat([
        paxRecord("GNU.sparse.size", size),
        paxRecord("GNU.sparse.numblocks", String(pieces.length)),
        ...records,
      ]),
    ),
    file("s", data),
  ]);
}
