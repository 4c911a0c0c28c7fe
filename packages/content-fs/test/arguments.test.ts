import { randomBytes } from "node:crypto";
import { writeBlob } from "@varve/content";
import { openContentStore } from "@varve/content-fs";
import type { Digest } from "@varve/digest";
import { expect, test } from "vitest";
import { tempDir } from "./temp.ts";

const bytes = randomBytes(1000);

test("a ref may be any text, with slashes, zeroes and of any length, but no half of a character", async () => {
  await using temp = await tempDir();
  await using store = await openContentStore({ root: temp.path });
  for (const ref of ["../../etc", "a\0b", "/", "ref\n", "\u{1f600}", "long".repeat(5000)]) {
    const writer = await store.writer(ref);
    await writer.write(bytes);
    await writer.close();
    expect((await store.status(ref)).offset).toBe(bytes.byteLength);
    await store.abort(ref);
  }
  for (const ref of ["", "\ud83d", "a\ude00"]) {
    await expect(store.writer(ref)).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  }
});

test("a size that no blob has is refused", async () => {
  await using temp = await tempDir();
  await using store = await openContentStore({ root: temp.path });
  for (const size of [-1, 0.5, Number.NaN, Infinity]) {
    await expect(store.writer("r", { expected: { size } })).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  }
});

test("a digest of an unknown algorithm is said to be one, when a writer is opened and at the commit", async () => {
  await using temp = await tempDir();
  await using store = await openContentStore({ root: temp.path });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what a careless caller could do
  const digest = `blake3:${"0".repeat(64)}` as Digest;
  await expect(store.writer("r", { expected: { digest } })).rejects.toMatchObject({ code: "ERR_NOT_IMPLEMENTED" });
  const writer = await store.writer("r");
  await writer.write(bytes);
  await expect(writer.commit({ digest })).rejects.toMatchObject({ code: "ERR_NOT_IMPLEMENTED" });
  expect((await store.status("r")).offset).toBe(bytes.byteLength);
});

test("a range that is none is refused", async () => {
  await using temp = await tempDir();
  await using store = await openContentStore({ root: temp.path });
  const digest = await writeBlob(store, "r", bytes);
  await using reader = await store.open({ mediaType: "x/y", digest, size: bytes.byteLength });
  const drain = async (range: { start?: number; end?: number }): Promise<void> => {
    for await (const chunk of reader.stream(range)) expect(chunk.byteLength).toBeGreaterThan(0);
  };
  for (const range of [{ start: -1 }, { start: 0.5 }, { end: Number.NaN }, { end: -1 }]) {
    await expect(drain(range)).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  }
});
