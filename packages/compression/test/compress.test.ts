import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { compress, type CompressOptions, decompress } from "@varve/compression";
import { describe, expect, test } from "vitest";

const words = Buffer.from(Array.from({ length: 200_000 }, (_, index) => `varve ${(index * 7919) % 10_007}\n`).join(""));
/** Several blocks of gzip, the last one not full, and one that does not get smaller. */
const plain = Buffer.concat([words, randomBytes(700_000), words]);

async function* cut(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** Gives the same chunk again and again, with other bytes in it. */
async function* reused(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  const chunk = new Uint8Array(size);
  for (let at = 0; at < bytes.length; at += size) {
    const part = bytes.subarray(at, at + size);
    chunk.set(part);
    yield chunk.subarray(0, part.length);
  }
}

async function collect(blocks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const block of blocks) {
    expect(block.length).toBeGreaterThan(0);
    all.push(block);
  }
  return Buffer.concat(all);
}

const pack = (source: AsyncIterable<Uint8Array>, options: CompressOptions): Promise<Buffer> =>
  collect(compress(source, options));

const everyLevel: CompressOptions[] = [
  ...[undefined, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((level) => ({ compression: "gzip", level }) as const),
  ...[undefined, 1, 3, 9, 19].map((level) => ({ compression: "zstd", level }) as const),
  { compression: "none" },
];

describe("compress", () => {
  test.each(everyLevel)("$compression at level $level gives back what went in", async (options) => {
    const bytes = options.level === undefined ? plain : plain.subarray(0, 1_200_000);
    const packed = await pack(cut(bytes, 99_999), options);
    expect((await collect(decompress(cut(packed, 65_536)))).equals(bytes)).toBe(true);
  });

  test.each(["gzip", "zstd"] as const)(
    "%s frees a block when the next is asked for, if that is wanted",
    async (compression) => {
      const kept: { readonly block: Uint8Array; readonly copy: Buffer }[] = [];
      for await (const block of compress(cut(Buffer.concat([plain, plain]), 99_999), { compression, reuse: true })) {
        kept.push({ block, copy: Buffer.from(block) });
      }
      const packed = await pack(cut(Buffer.concat([plain, plain]), 99_999), { compression });
      expect(Buffer.concat(kept.map(({ copy }) => copy)).equals(packed)).toBe(true);
      const freed = kept.filter(({ block, copy }) => copy.length > 10_000 && block.length === 0);
      expect(freed.length).toBeGreaterThan(2);
    },
  );

  test.each(["gzip", "zstd"] as const)(
    "%s does not depend on chunks, on reused memory or on concurrency",
    async (compression) => {
      const bytes = Buffer.concat([plain, plain, plain]);
      const first = await pack(cut(bytes, bytes.length), { compression, level: 1, concurrency: 1 });
      for (const [source, concurrency] of [
        [cut(bytes, 512 * 1024), 4],
        [cut(bytes, 7777), 16],
        [reused(bytes, 10_000), undefined],
      ] as const) {
        expect((await pack(source, { compression, level: 1, concurrency })).equals(first)).toBe(true);
      }
    },
  );

  test.each(["gzip", "zstd"] as const)("%s of nothing is a whole stream", async (compression) => {
    const empty = Buffer.alloc(0);
    const packed = await pack(cut(empty, 1), { compression });
    expect(packed.length).toBeGreaterThan(0);
    expect(await collect(decompress(cut(packed, 5)))).toEqual(empty);
  });

  test.each([0, 1, 32_768, 524_287, 524_288, 524_289, 1_048_576])(
    "gzip of %i bytes is cut where it should be",
    async (size) => {
      const bytes = plain.subarray(0, size);
      const packed = await pack(cut(bytes, 4096), { compression: "gzip", level: 1 });
      expect((await collect(decompress(cut(packed, 65_536)))).equals(bytes)).toBe(true);
    },
  );

  test("blocks of gzip point back into the one before", async () => {
    // Noise that comes again within 32 KiB, right where one block ends.
    const noise = randomBytes(20_000);
    const bytes = Buffer.concat([Buffer.alloc(512 * 1024 - noise.length), noise, noise]);
    const packed = await pack(cut(bytes, bytes.length), { compression: "gzip" });
    expect(packed.length).toBeLessThan(noise.length * 1.2);
  });

  test("the header of gzip says nothing about when and where it was made", async () => {
    const packed = await pack(cut(words, 1000), { compression: "gzip" });
    expect(packed.subarray(0, 10).toString("hex")).toBe("1f8b08000000000000ff");
  });

  test.each([
    ["gzip", "gzip -dc"],
    ["gzip", "pigz -dc"],
    ["gzip", "igzip -dc"],
    ["zstd", "zstd -dcq"],
  ] as const)("%s is read by `%s`", async (compression, command) => {
    const [program = "", ...args] = command.split(" ");
    const packed = await pack(cut(plain, 100_000), { compression });
    let output: Buffer;
    try {
      output = execFileSync(program, args, { input: packed, maxBuffer: 1e9 });
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return;
      throw error;
    }
    expect(output.equals(plain)).toBe(true);
  });

  test.each([
    [{ compression: "gzip", level: 0 }, "compress: gzip level 0: not from 1 to 9"],
    [{ compression: "gzip", level: 10 }, "compress: gzip level 10: not from 1 to 9"],
    [{ compression: "gzip", level: 1.5 }, "compress: gzip level 1.5: not from 1 to 9"],
    [{ compression: "zstd", level: 20 }, "compress: zstd level 20: not from 1 to 19"],
    [{ compression: "zstd", level: Number.NaN }, "compress: zstd level NaN: not from 1 to 19"],
    [{ compression: "none", level: 1 }, "compress: `none` has no level"],
    [{ compression: "gzip", concurrency: 0 }, "compress: concurrency 0: not a whole number above 0"],
  ] as const)("refuses %o", async (options, message) => {
    await expect(pack(cut(words, 1000), options)).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT", message });
  });
});

/** Endless noise; says whether it was closed, and how much was asked of it. */
function endless(chunk = 300_000): { source: AsyncGenerator<Uint8Array>; state: { closed: boolean; given: number } } {
  const state = { closed: false, given: 0 };
  async function* give(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        state.given += chunk;
        yield randomBytes(chunk);
      }
    } finally {
      state.closed = true;
    }
  }
  return { source: give(), state };
}

async function* silent(): AsyncGenerator<Uint8Array> {
  yield words;
  await new Promise(() => undefined);
}

describe("compress that does not come to its end", () => {
  test.each(["gzip", "zstd", "none"] as const)(
    "%s stops on a signal with its reason, and closes its source",
    async (compression) => {
      const { source, state } = endless();
      const abort = new AbortController();
      const run = async (): Promise<void> => {
        for await (const block of compress(source, { compression, signal: abort.signal })) {
          expect(block.length).toBeGreaterThan(0);
          if (state.given > 30_000_000) abort.abort(new Error("enough"));
        }
      };
      await expect(run()).rejects.toThrow("enough");
      expect(state.closed).toBe(true);
    },
  );

  test.each(["gzip", "zstd", "none"] as const)(
    "%s stops on a signal although the source is silent",
    async (compression) => {
      const abort = new AbortController();
      const run = collect(compress(silent(), { compression, signal: abort.signal }));
      setImmediate(() => abort.abort(new Error("enough")));
      await expect(run).rejects.toThrow("enough");
    },
  );

  test("does not ask the source for anything after a signal", async () => {
    const { source, state } = endless();
    const run = collect(compress(source, { compression: "gzip", signal: AbortSignal.abort(new Error("before")) }));
    await expect(run).rejects.toThrow("before");
    expect(state.given).toBe(0);
  });

  test.each(["gzip", "zstd", "none"] as const)("%s passes the source's own error on", async (compression) => {
    const failure = new Error("disk on fire");
    async function* failing(): AsyncGenerator<Uint8Array> {
      for (let index = 0; index < 20; index += 1) yield words;
      throw failure;
    }
    await expect(collect(compress(failing(), { compression }))).rejects.toBe(failure);
  });

  test.each(["gzip", "zstd", "none"] as const)("%s closes its source when nobody wants more", async (compression) => {
    const { source, state } = endless();
    for await (const block of compress(source, { compression })) if (block.length > 1000) break;
    expect(state.closed).toBe(true);
  });

  test.each([
    ["gzip", 0.5],
    ["zstd", 2],
  ] as const)("%s reads no further ahead than its concurrency allows", async (compression, mebibytes) => {
    const { source, state } = endless(65_536);
    let taken = 0;
    for await (const block of compress(source, { compression, level: 1, concurrency: 2 })) {
      taken += block.length;
      // Noise does not get smaller, so what came out tells how much is inside.
      expect(state.given - taken).toBeLessThan(6 * mebibytes * 1024 * 1024);
      if (taken > 40_000_000) break;
    }
  });
});
