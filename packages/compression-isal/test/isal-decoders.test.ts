import { randomBytes } from "node:crypto";
import { constants, crc32, gzipSync } from "node:zlib";
import { createDecoder } from "@varve/compression";
import { createIsalDecoders } from "@varve/compression-isal";
import { CodedError } from "@varve/errors";
import { array, assert, constantFrom, integer, nat, property, record } from "fast-check";
import { describe, expect, test } from "vitest";

const decoders = createIsalDecoders();
const why = decoders === undefined ? " (skipped: no libisal.so.2 for this machine)" : "";

const text = Buffer.from(Array.from({ length: 8000 }, (_, index) => `${(index * 7919) % 10_007} varve`).join(" "));
const noise = randomBytes(100_000);
const member = gzipSync(text.subarray(0, 3000));
const body = member.subarray(10);

/** A header with everything that is optional, as `flags` say. */
function header(flags: number, checksum = 0): Buffer {
  const parts = [Buffer.from([0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 2, 3])];
  if ((flags & 4) !== 0) parts.push(Buffer.from([5, 0]), Buffer.from("extra"));
  if ((flags & 8) !== 0) parts.push(Buffer.from("a name\0"));
  if ((flags & 16) !== 0) parts.push(Buffer.from("a comment\0"));
  const bytes = Buffer.concat(parts);
  if ((flags & 2) === 0) return bytes;
  const sum = Buffer.alloc(2);
  sum.writeUInt16LE(((crc32(bytes) & 0xffff) ^ checksum) & 0xffff);
  return Buffer.concat([bytes, sum]);
}

const streams: readonly (readonly [string, Buffer])[] = [
  ["text", gzipSync(text)],
  ["noise", gzipSync(noise)],
  ["nothing", gzipSync("")],
  ["stored blocks", gzipSync(noise, { level: 0 })],
  ["fixed codes", gzipSync(text, { strategy: constants.Z_FIXED })],
  ["Huffman codes only", gzipSync(text, { strategy: constants.Z_HUFFMAN_ONLY })],
  ["run lengths", gzipSync(Buffer.alloc(200_000), { strategy: constants.Z_RLE })],
  ["members", Buffer.concat([gzipSync(text), gzipSync(""), gzipSync(noise), member])],
  ["padding", Buffer.concat([gzipSync(text), Buffer.alloc(2000)])],
  ["padding that ends in something else", Buffer.concat([member, Buffer.alloc(2000), member])],
  ["garbage at the end", Buffer.concat([member, Buffer.from("more")])],
  ["half a magic number at the end", Buffer.concat([member, Buffer.from([0x1f])])],
  ["half a header at the end", Buffer.concat([member, header(0).subarray(0, 9)])],
  ["no bytes", Buffer.alloc(0)],
  ["zeros only", Buffer.alloc(100)],
  ["another method", Buffer.concat([Buffer.from([0x1f, 0x8b, 7]), member.subarray(3)])],
  ["the length of something else", Buffer.concat([member.subarray(0, -1), Buffer.from([1])])],
  ["no trailer", member.subarray(0, -8)],
  ["half a trailer", member.subarray(0, -4)],
  ["a wrong header checksum", Buffer.concat([header(2, 1), body])],
  ...[...Array.from({ length: 32 }, (_, flags) => flags), 32, 64, 128, 255].map(
    (flags) => [`header flags ${flags}`, Buffer.concat([header(flags), body])] as const,
  ),
];

/** All the bytes, or the error; blocks may be overwritten, so they are copied. */
function outcome(bytes: Buffer, kind: "isal" | "zlib", size: number, blockSize: number): Buffer | string {
  const decoder = createDecoder("gzip", { blockSize, decoders: kind === "isal" ? decoders : undefined });
  const blocks: Buffer[] = [];
  try {
    for (let at = 0; at < bytes.length; at += size) {
      for (const block of decoder.decode(bytes.subarray(at, at + size))) blocks.push(Buffer.from(block));
    }
    for (const block of decoder.end()) blocks.push(Buffer.from(block));
    return Buffer.concat(blocks);
  } catch (error) {
    if (error instanceof CodedError) return error.code;
    throw error;
  } finally {
    decoder.close();
  }
}

/** Decodes for the error's sake. */
function say(bytes: Buffer): void {
  const decoder = createDecoder("gzip", { decoders });
  try {
    for (const block of decoder.decode(bytes)) expect(block.length).toBeGreaterThan(0);
    expect([...decoder.end()]).toEqual([]);
  } finally {
    decoder.close();
  }
}

describe.skipIf(decoders === undefined)(`decoder by ISA-L${why}`, () => {
  test.each(streams)("agrees with node:zlib about a stream with %s", (_name, bytes) => {
    const expected = outcome(bytes, "zlib", 65_536, 65_536);
    for (const [size, blockSize] of [
      [bytes.length + 1, 300_000],
      [777, 5000],
      [bytes.length < 5000 ? 1 : 100, 999],
    ] as const) {
      expect(outcome(bytes, "isal", size, blockSize)).toEqual(expected);
    }
  });

  test("gives all that the bytes so far stand for, and keeps nothing back", () => {
    const decoder = createDecoder("gzip", { decoders, blockSize: 5000 });
    let length = 0;
    for (const block of decoder.decode(gzipSync(text).subarray(0, -8))) length += block.length;
    decoder.close();
    expect(length).toBe(text.length);
  });

  test("agrees with node:zlib wherever a stream is cut", () => {
    const bytes = Buffer.concat([header(31 & ~1), body, member]);
    for (let length = 0; length < bytes.length; length += 1) {
      const cut = bytes.subarray(0, length);
      expect(outcome(cut, "isal", 500, 5000)).toEqual(outcome(cut, "zlib", 500, 5000));
    }
  });

  test("agrees with node:zlib about damaged streams, but for codes that are never used", () => {
    const small = text.subarray(0, 2000);
    const bases = [0, 1, 6, 9].map((level) => gzipSync(small, { level }));
    const mutation = record({ at: nat(1_000_000), bit: nat(7), drop: constantFrom(0, 0, 0, 1, 5) });
    const sizes = integer({ min: 1, max: 5000 });
    assert(
      property(
        constantFrom(...bases),
        array(mutation, { minLength: 1, maxLength: 3 }),
        sizes,
        (base, mutations, size) => {
          let bytes = Buffer.from(base);
          for (const { at, bit, drop } of mutations) {
            const place = at % bytes.length;
            bytes[place] = (bytes[place] ?? 0) ^ (1 << bit);
            bytes = Buffer.concat([bytes.subarray(0, place), bytes.subarray(place + drop)]);
          }
          const expected = outcome(bytes, "zlib", 5000, 5000);
          // Checksum and length must be right in any case.
          const allowed = typeof expected === "string" ? [expected, small] : [expected];
          expect(allowed).toContainEqual(outcome(bytes, "isal", size, 5000));
        },
      ),
      { numRuns: 500 },
    );
  });

  test("takes a stream whose Huffman codes leave out what is never used, as igzip does", () => {
    // node:zlib and gzip refuse it: "invalid distances set".
    const bytes = Buffer.from("H4sIAAAAAAAAAwXBgQ0AIAgAIP6/tKnlqgekhUBio3DQuPh4GEaM7dwoAAAA", "base64");
    const numbers = Uint32Array.of(232, 234, 235, 237, 236, 238, 239, 241, 243, 242);
    expect(outcome(bytes, "zlib", 100, 100)).toBe("ERR_INVALID_DATA");
    expect(outcome(bytes, "isal", 100, 100)).toEqual(Buffer.from(numbers.buffer));
  });

  test("says what is wrong", () => {
    expect(() => say(member.subarray(0, 100))).toThrow("gzip: unexpected end of file");
    expect(() => say(Buffer.from("varve"))).toThrow("gzip: incorrect header check");
    expect(() => say(Buffer.concat([member.subarray(0, -8), Buffer.alloc(8)]))).toThrow("gzip: incorrect data check");
    expect(() => say(Buffer.concat([header(2, 1), body]))).toThrow("gzip: header crc mismatch");
    expect(() => say(Buffer.concat([member, Buffer.from("\0a")]))).toThrow("gzip: other bytes after the end");
  });

  test("writes into the memory it is given, and is of no use after an error or when it was closed", () => {
    const shared = new Uint8Array(new SharedArrayBuffer(8192));
    const decoder = createDecoder("gzip", { decoders, allocate: () => shared });
    for (const block of decoder.decode(member)) expect(block.buffer).toBe(shared.buffer);
    expect(() => [...decoder.decode(Buffer.from("x"))]).toThrow(CodedError);
    const closed = expect.objectContaining({ code: "ERR_FAILED_PRECONDITION", message: "gzip: decoder is closed" });
    expect(() => [...decoder.decode(member)]).toThrow(closed);
    expect(() => decoder.end()).toThrow(closed);
  });

  test("leaves zstd to others", () => {
    expect(decoders?.("zstd", () => new Uint8Array(1))).toBe(undefined);
  });
});
