import { canFollow, canLabel, canQuarantine, readBlob, writeBlob } from "@varve/content";
import { createMemoryContentStore } from "@varve/content-memory";
import { digestOf } from "@varve/digest";
import { expect, test } from "vitest";

test("a store says what it can do beyond the common", () => {
  const store = createMemoryContentStore();
  expect([canFollow(store), canLabel(store), canQuarantine(store)]).toEqual([true, true, true]);
});

test.each([0, -1, NaN])("a time of %d milliseconds to stall is refused", (stallMs) => {
  const refusal: unknown = expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" });
  expect(() => createMemoryContentStore({ stallMs })).toThrow(refusal);
});

test("a writer keeps its ref for ever if that is asked for", async () => {
  await using store = createMemoryContentStore({ stallMs: Infinity });
  await using writer = await store.writer("held");
  await expect(store.writer("held")).rejects.toMatchObject({ code: "ERR_UNAVAILABLE" });
  await writer.write(Buffer.from("x"));
});

// A hold that is lost on the way to the writer would lock the ref for ever.
test("a writer that is refused holds nothing", async () => {
  await using store = createMemoryContentStore();
  const digest = await writeBlob(store, "first", Buffer.from("hello"));
  await expect(store.writer("second", { expected: { digest } })).rejects.toMatchObject({ code: "ERR_ALREADY_EXISTS" });
  await using writer = await store.writer("second");
  expect(writer.status().offset).toBe(0);
});

test("what is read belongs to the reader, not to the store", async () => {
  await using store = createMemoryContentStore();
  const digest = await writeBlob(store, "ref", Buffer.from("hello"));
  const descriptor = { mediaType: "text/plain", digest, size: 5 };
  (await readBlob(store, descriptor)).fill(0);
  expect(Buffer.from(await readBlob(store, descriptor)).toString()).toBe("hello");
});

test("a commit under way is not taken over, however long it hashes", async () => {
  await using store = createMemoryContentStore({ stallMs: Number.MIN_VALUE });
  const writer = await store.writer("slow");
  const bytes = Buffer.alloc(5000, "x");
  for (let offset = 0; offset < bytes.byteLength; offset += 10) await writer.write(bytes.subarray(offset, offset + 10));
  // Another algorithm than the running one: a turn of the event loop for each chunk.
  const commit = writer.commit({ digest: digestOf(bytes, "sha512") });
  await new Promise((resolve) => void setImmediate(resolve));
  await expect(store.writer("slow")).rejects.toMatchObject({ code: "ERR_UNAVAILABLE" });
  expect(await commit).toBe(digestOf(bytes, "sha512"));
});
