import { constants, gzipSync, zstdCompressSync } from "node:zlib";
import { createDecoder, decompress, type Decoder, type DecoderOptions } from "@varve/compression";
import { CodedError } from "@varve/errors";
import { describe, expect, test } from "vitest";

const mebibyte = 1024 * 1024;

/** Decodes and keeps nothing; tells how much came out, whatever happens. */
function drain(decoder: Decoder, chunks: Iterable<Uint8Array>): { out: number; error: unknown } {
  let out = 0;
  try {
    for (const chunk of chunks) for (const block of decoder.decode(chunk)) out += block.length;
    for (const block of decoder.end()) out += block.length;
    return { out, error: undefined };
  } catch (error) {
    return { out, error };
  } finally {
    decoder.close();
  }
}

function* repeat(chunk: Uint8Array, times: number): Generator<Uint8Array> {
  for (let index = 0; index < times; index += 1) yield chunk;
}

const member = gzipSync(Buffer.alloc(8 * mebibyte));
const frame = zstdCompressSync(Buffer.alloc(8 * mebibyte));

/** A frame of the given window, with one empty block. */
function frameWithWindow(descriptor: number): Buffer {
  return Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, descriptor, 1, 0, 0]);
}

async function* bomb(): AsyncGenerator<Uint8Array> {
  yield* repeat(frame, 1000);
}

// B14
describe("limits of a decoder", () => {
  test.each([
    ["gzip", gzipSync("x".repeat(1000))],
    ["zstd", zstdCompressSync(Buffer.from("x".repeat(1000)))],
    ["none", Buffer.from("x".repeat(1000))],
  ] as const)("maxBytes of %s are allowed, and not one more", (compression, packed) => {
    for (const kind of [compression, "detect"] as const) {
      expect(drain(createDecoder(kind, { maxBytes: 1000 }), [packed])).toEqual({ out: 1000, error: undefined });
      const { out, error } = drain(createDecoder(kind, { maxBytes: 999, blockSize: 100 }), [packed]);
      expect(out).toBeLessThan(1000);
      expect(error).toMatchObject({
        code: "ERR_RESOURCE_EXHAUSTED",
        message: `${compression}: more than 999 bytes come out (maxBytes)`,
      });
    }
  });

  test.each([
    ["gzip", member, 1000],
    ["zstd", frame, 1100],
  ] as const)("a bomb of %s stops at maxRatio, little after 1 GiB", (compression, part, maxRatio) => {
    const { out, error } = drain(createDecoder("detect", { maxRatio }), repeat(part, 1000));
    expect(error).toMatchObject({
      code: "ERR_RESOURCE_EXHAUSTED",
      message: expect.stringMatching(
        new RegExp(`^${compression}: \\d+ bytes come out of \\d+ \\(maxRatio ${maxRatio}\\)$`),
      ),
    });
    expect(out).toBeLessThanOrEqual(1040 * mebibyte);
  });

  test("maxRatio leaves 1 GiB alone, and all of gzip when it is more than gzip can do", () => {
    const options: DecoderOptions = { maxRatio: 1 };
    expect(drain(createDecoder("gzip", options), repeat(member, 128))).toEqual({
      out: 1024 * mebibyte,
      error: undefined,
    });
    expect(drain(createDecoder("gzip", { maxRatio: 1033 }), repeat(member, 140)).error).toBe(undefined);
  });

  test.each([
    ["the largest that zstd makes at any level", (27 - 10) << 3, undefined, undefined],
    ["one step more", ((27 - 10) << 3) + 1, undefined, 150_994_944],
    ["2 GiB", (31 - 10) << 3, undefined, 2 ** 31],
    ["2 GiB when it is allowed", (31 - 10) << 3, 2 ** 31, undefined],
    ["3.75 TiB", 255, 2 ** 31, 2 ** 41 + 7 * 2 ** 38],
    ["1 MiB when less is allowed", (20 - 10) << 3, mebibyte - 1, mebibyte],
  ])("a zstd window of %s", (_name, descriptor, maxWindow, refused) => {
    const { error } = drain(createDecoder("zstd", { maxWindow }), [frameWithWindow(descriptor)]);
    const why = `zstd: a frame has a window of ${refused} bytes (maxWindow ${maxWindow ?? 128 * mebibyte})`;
    expect(error).toEqual(refused === undefined ? undefined : new CodedError("ERR_RESOURCE_EXHAUSTED", why));
  });

  test.each([
    [Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 1, 0, 0, 0]), 2 ** 32],
    [Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xa0, 1, 0, 0, 8]), 2 ** 27 + 1],
    [Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xa3, 1, 2, 3, 4, 1, 0, 0, 8]), 2 ** 27 + 1],
  ])("a zstd frame without a window has one as large as its content", (bytes, window) => {
    for (const chunks of [[bytes], [...bytes].map((byte) => Buffer.from([byte]))]) {
      expect(drain(createDecoder("zstd"), chunks).error).toMatchObject({
        code: "ERR_RESOURCE_EXHAUSTED",
        message: `zstd: a frame has a window of ${window} bytes (maxWindow 134217728)`,
      });
    }
  });

  test.each([
    [255, [0x20]],
    [256, [0x60]],
    [65_791, [0x60]],
    [65_792, [0xa0]],
  ])("a window of %i bytes is read as zstd writes it", (size) => {
    // Content sizes of one, two and four bytes.
    const packed = zstdCompressSync(Buffer.alloc(size, "ab"), { pledgedSrcSize: size });
    expect(drain(createDecoder("zstd", { maxWindow: size }), [packed])).toEqual({ out: size, error: undefined });
    expect(drain(createDecoder("zstd", { maxWindow: size - 1 }), [packed]).error).toMatchObject({
      message: `zstd: a frame has a window of ${size} bytes (maxWindow ${size - 1})`,
    });
  });

  test("long windows work when they are allowed", () => {
    const noise = Buffer.alloc(
      9 * mebibyte,
      Buffer.from(Array.from({ length: 9973 }, (_, index) => (index * index) % 251)),
    );
    const params = { [constants.ZSTD_c_windowLog]: 28, [constants.ZSTD_c_enableLongDistanceMatching]: 1 };
    const packed = zstdCompressSync(noise, { params });
    const outcome = drain(createDecoder("zstd", { maxWindow: 2 ** 28 }), [packed]);
    expect(outcome).toEqual({ out: noise.length, error: undefined });
  });

  test.each(["maxBytes", "maxRatio", "maxWindow"])("%s must be above 0", (name) => {
    for (const limit of [0, -1, Number.NaN]) {
      expect(() => createDecoder("gzip", { [name]: limit })).toThrow(
        expect.objectContaining({ code: "ERR_INVALID_ARGUMENT", message: `decoder: ${name} ${limit}: not above 0` }),
      );
    }
  });

  test("decompress has them, too", async () => {
    let out = 0;
    const run = async (options: DecoderOptions): Promise<void> => {
      for await (const block of decompress(bomb(), options)) out += block.length;
    };
    await expect(run({ maxBytes: mebibyte })).rejects.toThrow("zstd: more than 1048576 bytes come out (maxBytes)");
    expect(out).toBe(mebibyte);
    await expect(run({ maxRatio: 1100 })).rejects.toThrow("(maxRatio 1100)");
    await expect(run({ maxWindow: mebibyte })).rejects.toThrow("(maxWindow 1048576)");
  });
});

const head = (flags: number): Buffer => Buffer.from([0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 255]);

describe("what goes in and never comes out", () => {
  const megabyte = Buffer.alloc(1_000_000, "n");
  const body = gzipSync("body").subarray(10);

  test.each([
    ["a file name", 8],
    ["a comment", 16],
  ])("%s of 100 MB in a gzip header takes no memory", (_name, flags) => {
    const before = process.memoryUsage().rss;
    const end = Buffer.concat([Buffer.from([0]), body]);
    const { out, error } = drain(createDecoder("gzip"), [head(flags), ...repeat(megabyte, 100), end]);
    expect({ out, error }).toEqual({ out: 4, error: undefined });
    expect(process.memoryUsage().rss - before).toBeLessThan(50_000_000);
    const cut = drain(createDecoder("gzip"), [head(flags), ...repeat(megabyte, 3)]);
    expect(cut.error).toMatchObject({ code: "ERR_INVALID_DATA", message: "gzip: unexpected end of file" });
  });

  test("an extra field of gzip is as long as it says", () => {
    const extra = Buffer.concat([head(4), Buffer.from([0xff, 0xff]), Buffer.alloc(65_535), body]);
    expect(drain(createDecoder("gzip"), [extra])).toEqual({ out: 4, error: undefined });
    expect(drain(createDecoder("gzip"), [extra.subarray(0, 60_000)]).error).toMatchObject({ code: "ERR_INVALID_DATA" });
  });

  test.each([
    ["gzip", gzipSync("")],
    ["zstd", zstdCompressSync("")],
    ["zstd", Buffer.from([0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0])],
  ] as const)("100,000 empty members or frames of %s are one empty stream", (compression, empty) => {
    const many = Buffer.alloc(100_000 * empty.length, empty);
    expect(drain(createDecoder(compression), [many])).toEqual({ out: 0, error: undefined });
  });

  test("a skippable frame of 4 GiB is skipped as it comes", () => {
    const start = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 0xff, 0xff, 0xff, 0xff]);
    const { error } = drain(createDecoder("zstd"), [start, ...repeat(megabyte, 50)]);
    expect(error).toMatchObject({ code: "ERR_INVALID_DATA", message: "zstd: unexpected end of file" });
  });
});

test("a decoder that was closed before it knew what to do opens nothing", () => {
  const decoder = createDecoder("detect");
  decoder.close();
  expect(() => [...decoder.decode(member)]).toThrow(expect.objectContaining({ code: "ERR_FAILED_PRECONDITION" }));
});
