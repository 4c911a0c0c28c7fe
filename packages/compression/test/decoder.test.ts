import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { constants, gzipSync, zstdCompressSync } from "node:zlib";
import { createDecoder, type Decoder, decompress, detectCompression } from "@varve/compression";
import { array, assert, integer, pre, property } from "fast-check";
import { describe, expect, test } from "vitest";

const text = Buffer.from("varve ".repeat(60_000));
const noise = randomBytes(300_000);
const skippable = Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);

function run(decoder: Decoder, packed: Uint8Array, sizes: readonly number[] = [65_536]): Buffer {
  const blocks: Buffer[] = [];
  const take = (some: Iterable<Uint8Array>): void => {
    // A block may be used again for the next one.
    for (const block of some) blocks.push(Buffer.from(block));
  };
  try {
    for (let at = 0, turn = 0; at < packed.length; turn += 1) {
      const size = sizes[turn % sizes.length] ?? 1;
      take(decoder.decode(packed.subarray(at, at + size)));
      at += size;
    }
    take(decoder.end());
  } finally {
    decoder.close();
  }
  return Buffer.concat(blocks);
}

/** A zstd frame with everything that is optional: checksum, no content size, several blocks. */
const checkedFrame = zstdCompressSync(noise, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });

const streams: readonly { readonly name: string; readonly packed: Buffer; readonly plain: Buffer }[] = [
  { name: "gzip", packed: gzipSync(text), plain: text },
  { name: "gzip of nothing", packed: gzipSync(""), plain: Buffer.alloc(0) },
  { name: "gzip without compression", packed: gzipSync(noise, { level: 0 }), plain: noise },
  {
    name: "gzip with several members",
    packed: Buffer.concat([gzipSync(text), gzipSync(""), gzipSync(noise)]),
    plain: Buffer.concat([text, noise]),
  },
  { name: "gzip with padding", packed: Buffer.concat([gzipSync(text), Buffer.alloc(2000)]), plain: text },
  { name: "zstd", packed: zstdCompressSync(text), plain: text },
  { name: "zstd of nothing", packed: zstdCompressSync(""), plain: Buffer.alloc(0) },
  { name: "zstd with a checksum", packed: checkedFrame, plain: noise },
  {
    name: "zstd with several frames",
    packed: Buffer.concat([zstdCompressSync(text), checkedFrame, zstdCompressSync("")]),
    plain: Buffer.concat([text, noise]),
  },
  {
    name: "zstd between skippable frames",
    packed: Buffer.concat([skippable, zstdCompressSync(text), skippable, skippable, checkedFrame, skippable]),
    plain: Buffer.concat([text, noise]),
  },
  { name: "plain", packed: noise, plain: noise },
  { name: "nothing", packed: Buffer.alloc(0), plain: Buffer.alloc(0) },
  { name: "a few plain bytes", packed: Buffer.from("ab"), plain: Buffer.from("ab") },
];

describe("decoder", () => {
  // B12
  test.each(streams)("gives the bytes of $name, however they are cut", ({ packed, plain }) => {
    expect(run(createDecoder("detect"), packed, [packed.length || 1]).equals(plain)).toBe(true);
    assert(
      property(
        array(integer({ min: 1, max: 70_000 }), { minLength: 1 }),
        integer({ min: 1, max: 400_000 }),
        (sizes, blockSize) => {
          expect(run(createDecoder("detect", { blockSize }), packed, sizes).equals(plain)).toBe(true);
        },
      ),
      { numRuns: 20 },
    );
  });

  test.each(streams.filter(({ packed }) => packed.length < 5000))(
    "gives the bytes of $name byte for byte",
    ({ packed, plain }) => {
      expect(run(createDecoder("detect"), packed, [1]).equals(plain)).toBe(true);
    },
  );

  test.each(["pigz -c", "gzip -1 -c", "zstd -q -c -T2 -B4096", "zstd -q -c --ultra -22"])(
    "reads what `%s` writes",
    (command) => {
      const [program = "", ...options] = command.split(" ");
      const plain = Buffer.concat([text, noise]);
      let packed: Buffer;
      try {
        packed = execFileSync(program, options, { input: plain, maxBuffer: 1e9 });
      } catch (error) {
        if (error instanceof Error && "code" in error && error.code === "ENOENT") return;
        throw error;
      }
      expect(run(createDecoder("detect"), packed, [777]).equals(plain)).toBe(true);
    },
  );

  test.each(streams.filter(({ name }) => /^(gzip|zstd)/.test(name)))(
    "refuses $name when it is cut anywhere",
    ({ packed, name }) => {
      const kind = name.startsWith("gzip") ? "gzip" : "zstd";
      const whole = name.startsWith("gzip with padding") ? packed.length - 2000 : packed.length;
      assert(
        property(integer({ min: 0, max: whole - 1 }), integer({ min: 1, max: 100_000 }), (length, size) => {
          // Between two members or frames a stream may end.
          pre(!isBoundary(packed, length));
          expect(() => run(createDecoder(kind), packed.subarray(0, length), [size])).toThrow(
            expect.objectContaining({
              code: "ERR_INVALID_DATA",
              message: expect.stringMatching(new RegExp(`^${kind}: `)),
            }),
          );
        }),
        { numRuns: 40 },
      );
    },
  );

  test.each([
    ["gzip", gzipSync(text), "more"],
    ["gzip", gzipSync(text), "\0\0\0more"],
    ["gzip", gzipSync(text), "\u001f\u008b\u0008"],
    ["zstd", zstdCompressSync(text), "more"],
    ["zstd", zstdCompressSync(text), "\0\0\0\0\0\0\0\0"],
    ["zstd", zstdCompressSync(text), "(µ"],
  ] as const)("refuses %s followed by other bytes", (kind, packed, tail) => {
    const bytes = Buffer.concat([packed, Buffer.from(tail, "latin1")]);
    for (const size of [1, 100, bytes.length]) {
      expect(() => run(createDecoder(kind), bytes, [size])).toThrow(
        expect.objectContaining({ code: "ERR_INVALID_DATA" }),
      );
    }
  });

  test("refuses a wrong checksum", () => {
    const flipped = [gzipSync(text), zstdCompressSync(noise, { params: { [constants.ZSTD_c_checksumFlag]: 1 } })];
    for (const packed of flipped) {
      const at = packed.length - 3;
      packed[at] = (packed[at] ?? 0) ^ 1;
      expect(() => run(createDecoder("detect"), packed)).toThrow(expect.objectContaining({ code: "ERR_INVALID_DATA" }));
    }
  });

  test("gives all that the bytes so far stand for, and keeps nothing back", () => {
    const decoder = createDecoder("gzip", { blockSize: 7 });
    const withoutTrailer = gzipSync(text).subarray(0, -8);
    let length = 0;
    for (const block of decoder.decode(withoutTrailer)) length += block.length;
    decoder.close();
    expect(length).toBe(text.length);
  });

  test("keeps a bomb in one block of memory", () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    const buffers = new Set<ArrayBufferLike>();
    const decoder = createDecoder("gzip", { blockSize: 4096 });
    let length = 0;
    for (const block of decoder.decode(bomb)) {
      buffers.add(block.buffer);
      length += block.length;
    }
    decoder.close();
    expect(length).toBe(64 * 1024 * 1024);
    expect(buffers.size).toBe(1);
  });

  test("writes into the memory it is given, shared memory too", () => {
    const shared = new Uint8Array(new SharedArrayBuffer(1000));
    const decoder = createDecoder("gzip", { allocate: () => shared });
    let plain = Buffer.alloc(0);
    for (const block of decoder.decode(gzipSync(text))) {
      expect(block.buffer).toBe(shared.buffer);
      plain = Buffer.concat([plain, block]);
    }
    decoder.close();
    expect(plain.equals(text)).toBe(true);
  });

  test("can be another's for one compression", () => {
    const own = createDecoder("none");
    const decoders = (compression: "gzip" | "zstd"): Decoder | undefined => (compression === "zstd" ? own : undefined);
    expect(createDecoder("zstd", { decoders })).toBe(own);
    expect(run(createDecoder("gzip", { decoders }), gzipSync(text)).equals(text)).toBe(true);
  });

  test("is of no use after it was closed", () => {
    const decoder = createDecoder("gzip");
    decoder.close();
    decoder.close();
    expect(() => [...decoder.decode(gzipSync("a"))]).toThrow(
      expect.objectContaining({ code: "ERR_FAILED_PRECONDITION" }),
    );
  });
});

// Where one member or frame ends, the rest is a stream of its own.
function isBoundary(packed: Buffer, length: number): boolean {
  if (length === 0) return false;
  try {
    run(createDecoder("detect"), packed.subarray(length));
    return detectCompression(packed.subarray(length)) !== "none";
  } catch {
    return false;
  }
}

describe("detection", () => {
  test("is made with the first four bytes, or at the end", () => {
    const decoder = createDecoder("detect");
    const packed = gzipSync("");
    expect([...decoder.decode(packed.subarray(0, 3))]).toEqual([]);
    expect(decoder.compression).toBe(undefined);
    expect([...decoder.decode(packed.subarray(3))]).toEqual([]);
    expect(decoder.compression).toBe("gzip");
    decoder.close();
    const empty = createDecoder("detect");
    expect([...empty.end()]).toEqual([]);
    expect(empty.compression).toBe("none");
  });

  test.each([
    ["gzip", gzipSync("")],
    ["zstd", zstdCompressSync("")],
    ["zstd", Buffer.from([0x50, 0x2a, 0x4d, 0x18])],
    ["zstd", Buffer.from([0x5f, 0x2a, 0x4d, 0x18])],
    ["none", Buffer.from([0x60, 0x2a, 0x4d, 0x18])],
    ["none", Buffer.from([0x1f, 0x8b])],
    ["none", Buffer.alloc(0)],
    ["none", Buffer.from("ustar")],
  ] as const)("says %s", (compression, head) => {
    // U-DIFF.11
    expect(detectCompression(head)).toBe(compression);
  });
});

async function* cut(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

describe("decompress", () => {
  test.each(streams)("gives the bytes of $name", async ({ packed, plain }) => {
    const blocks: Uint8Array[] = [];
    for await (const block of decompress(cut(packed, 9999))) blocks.push(block);
    expect(Buffer.concat(blocks).equals(plain)).toBe(true);
  });

  test("rejects what is truncated and closes its source", async () => {
    let closed = false;
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        yield gzipSync(text).subarray(0, 100);
      } finally {
        closed = true;
      }
    }
    const all = Array.fromAsync(decompress(source()));
    await expect(all).rejects.toMatchObject({ code: "ERR_INVALID_DATA", message: "gzip: unexpected end of file" });
    expect(closed).toBe(true);
  });

  test("says whose bytes are wrong, and leaves what the source throws as it is", async () => {
    const options = { subject: "layer a.tar.gz" };
    const message = "layer a.tar.gz: gzip: unexpected end of file";
    const truncated = decompress(cut(gzipSync(text).subarray(0, 100), 50), options);
    await expect(Array.fromAsync(truncated)).rejects.toMatchObject({ message });
    const failure = new Error("the disk");
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield gzipSync(text).subarray(0, 100);
      throw failure;
    }
    await expect(Array.fromAsync(decompress(broken(), options))).rejects.toBe(failure);
  });

  test("lets other work have its turn, and stops on a signal with its reason", async () => {
    const abort = new AbortController();
    setTimeout(() => abort.abort(new Error("enough")), 5);
    const bomb = gzipSync(Buffer.alloc(256 * 1024 * 1024));
    const read = async (): Promise<void> => {
      for await (const block of decompress(cut(bomb, bomb.length), { signal: abort.signal }))
        expect(block.length).toBeGreaterThan(0);
    };
    await expect(read()).rejects.toThrow("enough");
  });
});
