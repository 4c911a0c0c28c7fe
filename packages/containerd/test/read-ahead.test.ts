import type { BlobReader } from "@varve/content";
import { createMemoryContentStore } from "@varve/content-memory";
import { expect, test } from "vitest";
// Between a call and the store.
import { ReadAhead } from "../src/serve/read-ahead.ts";
import { bytesOf, storeBlob } from "./stored-blob.ts";
import { watch } from "./watched-store.ts";
import type { WatchedStore, WatchOptions } from "./watched-store.ts";

const piece = 32_768;
const reach = 8 * piece;

async function opened(
  blob: Uint8Array,
  options: WatchOptions = {},
): Promise<{ readonly store: WatchedStore; readonly reader: BlobReader; readonly pieces: ReadAhead }> {
  const memory = createMemoryContentStore();
  const digest = await storeBlob(memory, blob);
  const store = watch(memory, options);
  const reader = await store.content.open({ mediaType: "", digest, size: 0 });
  return { store, reader, pieces: new ReadAhead(reader) };
}

/** The bytes that a read gives. */
async function read(pieces: ReadAhead, position: number, size: number): Promise<Buffer> {
  const target = Buffer.alloc(size, 0xee);
  return target.subarray(0, await pieces.read(target, position, {}));
}

test("pieces that follow each other are read eight at a time, and the end as it comes", async () => {
  const blob = bytesOf(2 * reach + piece + 100);
  const { store, pieces } = await opened(blob);
  const parts: Buffer[] = [];
  for (let position = 0; position < blob.byteLength; position += piece) parts.push(await read(pieces, position, piece));
  expect(Buffer.concat(parts).equals(blob)).toBe(true);
  expect(store.reads).toEqual([
    { position: 0, size: reach },
    { position: reach, size: reach },
    { position: 2 * reach, size: piece },
    { position: 2 * reach + piece, size: piece },
  ]);
});

test("what is read ahead goes where it went before", async () => {
  const { reader } = await opened(bytesOf(4 * reach));
  const memory = new Set<ArrayBufferLike>();
  const watched: BlobReader = {
    size: reader.size,
    stream: () => reader.stream(),
    close: () => reader.close(),
    [Symbol.asyncDispose]: () => reader.close(),
    read: (target, position, options) => {
      memory.add(target.buffer);
      return reader.read(target, position, options);
    },
  };
  const pieces = new ReadAhead(watched);
  for (let position = 0; position < reader.size; position += piece) await read(pieces, position, piece);
  expect(memory.size).toBe(1);
});

test("pieces here and there, and large ones, are read as they are asked for", async () => {
  const blob = bytesOf(4 * reach);
  const { store, pieces } = await opened(blob);
  const asked = [
    { position: reach, size: piece },
    { position: 100, size: piece },
    { position: 3 * reach, size: 1 },
    { position: 0, size: reach },
    { position: reach, size: reach },
  ];
  for (const { position, size } of asked) {
    expect((await read(pieces, position, size)).equals(blob.subarray(position, position + size))).toBe(true);
  }
  expect(store.reads).toEqual(asked);
});

test("pieces of several readers get their own bytes, whoever is served first", async () => {
  const blob = bytesOf(3 * reach + 12_345);
  const waiting: (() => void)[] = [];
  const { store, pieces } = await opened(blob, { beforeRead: () => new Promise((resolve) => waiting.push(resolve)) });
  let seed = 1;
  const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
  const running = new Set<number>();
  const readAll = async (size: number, reader: number): Promise<void> => {
    running.add(reader);
    try {
      for (let position = 0; position < blob.byteLength; position += size) {
        const bytes = await read(pieces, position, size);
        if (!bytes.equals(blob.subarray(position, position + size))) throw new Error(`other bytes at ${position}`);
      }
    } finally {
      running.delete(reader);
    }
  };
  const all = Promise.all([piece, piece, 10_000, 50_000].map(readAll));
  const serve = async (): Promise<void> => {
    while (running.size > 0) {
      await new Promise((resolve) => setImmediate(resolve));
      waiting.splice(random(waiting.length + 1), 1)[0]?.();
    }
  };
  await Promise.all([all, serve()]);
  expect(store.reads.some(({ size }) => size === reach)).toBe(true);
});

test("a read that fails leaves nothing that is taken for bytes of the blob, even if it goes on to write", async () => {
  const blob = bytesOf(3 * reach);
  const { reader } = await opened(blob);
  const failed: Uint8Array[] = [];
  let fails = false;
  const pieces = new ReadAhead({
    size: reader.size,
    stream: () => reader.stream(),
    close: () => reader.close(),
    [Symbol.asyncDispose]: () => reader.close(),
    read: async (target, position, options) => {
      if (!fails) return reader.read(target, position, options);
      failed.push(target);
      throw new Error("broken");
    },
  });
  for (let position = 0; position < reach; position += piece) await read(pieces, position, piece);
  fails = true;
  await expect(read(pieces, reach, piece)).rejects.toThrow("broken");
  fails = false;
  // It was to be read ahead, where bytes from before were held.
  expect(failed.map(({ byteLength }) => byteLength)).toEqual([reach]);
  for (const position of [0, reach - piece, reach, reach + piece]) {
    for (const target of failed) target.fill(0xdd);
    expect((await read(pieces, position, piece)).equals(blob.subarray(position, position + piece))).toBe(true);
  }
});
