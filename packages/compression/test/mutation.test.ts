import { randomBytes } from "node:crypto";
import { constants, gzipSync, zstdCompressSync } from "node:zlib";
import { createDecoder } from "@varve/compression";
import { CodedError } from "@varve/errors";
import { assert, array, integer, nat, oneof, property, record, constant } from "fast-check";
import { describe, expect, test } from "vitest";

const plain = Buffer.concat([Buffer.from("varve ".repeat(500)), randomBytes(2000), Buffer.alloc(3000)]);
const checked = { params: { [constants.ZSTD_c_checksumFlag]: 1 } };
const streams = [
  ["gzip", "gzip", gzipSync(plain)],
  ["gzip with a stored block", "gzip", gzipSync(plain, { level: 0 })],
  ["gzip with fixed codes", "gzip", gzipSync(plain, { strategy: constants.Z_FIXED })],
  ["two members", "gzip", Buffer.concat([gzipSync(plain.subarray(0, 4000)), gzipSync(plain.subarray(4000))])],
  ["zstd", "zstd", zstdCompressSync(plain, checked)],
  [
    "zstd at level 19",
    "zstd",
    zstdCompressSync(plain, { params: { ...checked.params, [constants.ZSTD_c_compressionLevel]: 19 } }),
  ],
] as const;

/** One thing that can happen to a stream on its way. */
const mutation = record({
  kind: oneof(...(["flip", "set", "insert", "remove", "copy"] as const).map((kind) => constant(kind))),
  at: nat(1_000_000),
  value: integer({ min: 1, max: 255 }),
  length: integer({ min: 1, max: 40 }),
});
type Mutation = typeof mutation extends { generate: (...rest: never[]) => { value: infer T } } ? T : never;

function mutate(bytes: Buffer, { kind, at, value, length }: Mutation): Buffer {
  const place = at % bytes.length;
  const [before, rest] = [bytes.subarray(0, place), bytes.subarray(place)];
  if (kind === "insert") return Buffer.concat([before, Buffer.alloc(length, value), rest]);
  if (kind === "remove") return Buffer.concat([before, rest.subarray(length)]);
  if (kind === "copy") return Buffer.concat([before, bytes.subarray(value, value + length), rest.subarray(length)]);
  const changed = Buffer.from(bytes);
  changed[place] = kind === "set" ? value : (changed[place] ?? 0) ^ (1 << (value % 8));
  return changed;
}

/** What comes of a stream: its bytes, or the code of the error. */
function outcome(compression: "gzip" | "zstd", bytes: Buffer, size: number): Buffer | string {
  const decoder = createDecoder(compression, { blockSize: 1000 });
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

describe("a stream that was damaged", () => {
  test.each(streams)("%s is refused or gives the same bytes", (_name, compression, packed) => {
    assert(
      property(array(mutation, { minLength: 1, maxLength: 3 }), integer({ min: 1, max: 3000 }), (mutations, size) => {
        let bytes: Buffer = packed;
        for (const one of mutations) if (bytes.length > 0) bytes = mutate(bytes, one);
        const got = outcome(compression, bytes, size);
        expect(["ERR_INVALID_DATA", "ERR_RESOURCE_EXHAUSTED", plain]).toContainEqual(got);
      }),
      { numRuns: 500 },
    );
  });
});
