import type { BlobInfo, BlobReader, ContentStore } from "@varve/content";
import { createMemoryContentStore } from "@varve/content-memory";
import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
// What a server does between the calls of its clients.
import { KeptReaders } from "../src/serve/kept-readers.ts";
import type { LentReader } from "../src/serve/kept-readers.ts";
import { bytesOf, storeBlob } from "./stored-blob.ts";
import { partOf, watch } from "./watched-store.ts";
import type { WatchedStore } from "./watched-store.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(() => void vi.useRealTimers());

let memory: ContentStore;
let store: WatchedStore;
let readers: KeptReaders;

beforeEach(() => {
  memory = createMemoryContentStore();
  store = watch(memory);
  readers = new KeptReaders(store.content);
});
afterEach(async () => {
  await readers.close();
  if (store.open > 0) throw new Error(`${store.open} blobs were left open`);
});

async function firstByte(reader: LentReader): Promise<number | undefined> {
  const target = new Uint8Array(1);
  await reader.read(target, 0, {});
  return target[0];
}

/** Lends a blob and gives it back. */
async function use(digest: Digest): Promise<void> {
  (await readers.lend(digest, {})).release();
}

test("a blob stays open for a second after its last use", async () => {
  const digest = await storeBlob(memory, bytesOf(100));
  await use(digest);
  vi.advanceTimersByTime(999);
  await use(digest);
  vi.advanceTimersByTime(999);
  expect([store.opened, store.open]).toEqual([1, 1]);
  vi.advanceTimersByTime(1);
  await store.closed();
  await use(digest);
  expect([store.opened, store.open]).toEqual([2, 1]);
});

test("a blob in use stays open however long that takes, and for a second afterwards", async () => {
  const digest = await storeBlob(memory, Buffer.from("abc"));
  const reader = await readers.lend(digest, {});
  const another = await readers.lend(digest, {});
  vi.advanceTimersByTime(10_000);
  another.release();
  vi.advanceTimersByTime(10_000);
  expect(await firstByte(reader)).toBe(97);
  reader.release();
  await use(digest);
  vi.advanceTimersByTime(999);
  expect([store.opened, store.open]).toEqual([1, 1]);
  vi.advanceTimersByTime(1);
  await store.closed();
});

test("a deleted blob is not found, and whoever reads it already goes on", async () => {
  const digest = await storeBlob(memory, Buffer.from("abc"));
  const reader = await readers.lend(digest, {});
  await memory.delete(digest);
  await expect(readers.lend(digest, {})).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  expect(await firstByte(reader)).toBe(97);
  expect(store.open).toBe(1);
  reader.release();
  await store.closed();
});

test.each([
  { what: "size", change: { size: 4 } },
  { what: "date", change: { createdAt: new Date(0) } },
])("a blob that came anew, of another $what, is opened anew", async ({ change }) => {
  const digest = await storeBlob(memory, Buffer.from("abc"));
  const info = await memory.info(digest);
  let now: BlobInfo = info;
  const changing = { ...store.content, info: async () => now };
  readers = new KeptReaders(changing);
  await use(digest);
  await use(digest);
  expect(store.opened).toBe(1);
  now = { ...info, ...change };
  await use(digest);
  expect([store.opened, store.open]).toEqual([2, 1]);
  // What changes for other reasons is no new blob.
  now = { ...now, updatedAt: new Date(1), labels: { a: "b" } };
  await use(digest);
  expect(store.opened).toBe(2);
});

test("of more than 16 blobs those stay open that were used last", async () => {
  const digests: Digest[] = [];
  for (let index = 0; index < 17; index += 1) digests.push(await storeBlob(memory, Buffer.from(`blob ${index}`)));
  const [first, second, ...others] = digests;
  if (first === undefined || second === undefined) throw new Error("no blobs");
  for (const digest of [first, second, ...others.slice(0, -1)]) await use(digest);
  expect([store.opened, store.open]).toEqual([16, 16]);
  await use(first);
  for (const digest of others.slice(-1)) await use(digest);
  await vi.waitFor(() => expect(store.open).toBe(16));
  await use(first);
  expect(store.opened).toBe(17);
  await use(second);
  expect(store.opened).toBe(18);
});

test("a blob that had to make room while it is in use is closed when it is not any more", async () => {
  const lent: LentReader[] = [];
  for (let index = 0; index < 20; index += 1) {
    lent.push(await readers.lend(await storeBlob(memory, Buffer.from(`blob ${index}`)), {}));
  }
  expect(store.open).toBe(20);
  for (const reader of lent) expect(await firstByte(reader)).toBe("b".codePointAt(0));
  for (const reader of lent) reader.release();
  await vi.waitFor(() => expect(store.open).toBe(16));
});

test("of calls that open a blob at the same time one keeps it", async () => {
  const digest = await storeBlob(memory, Buffer.from("abc"));
  const lent = await Promise.all(Array.from({ length: 5 }, () => readers.lend(digest, {})));
  for (const reader of lent) expect(await firstByte(reader)).toBe(97);
  for (const reader of lent) reader.release();
  await vi.waitFor(() => expect(store.open).toBe(1));
  const before = store.opened;
  await use(digest);
  expect(store.opened).toBe(before);
});

test("what is lent when all is closed is closed when it is given back, and the end waits for that", async () => {
  const [one, other] = [await storeBlob(memory, Buffer.from("one")), await storeBlob(memory, Buffer.from("other"))];
  const reader = await readers.lend(one, {});
  await use(other);
  let hasEnded = false;
  const ended = readers.close().then(() => (hasEnded = true));
  await vi.waitFor(() => expect(store.open).toBe(1));
  const late = await readers.lend(other, {});
  late.release();
  await vi.waitFor(() => expect(store.open).toBe(1));
  expect(hasEnded).toBe(false);
  reader.release();
  await ended;
  expect(store.open).toBe(0);
});

test("a blob that cannot be opened leaves nothing behind, and one that cannot be closed does not keep the end from coming", async () => {
  const digest = await storeBlob(memory, Buffer.from("abc"));
  const broken = new Error("broken");
  let isBroken = true;
  readers = new KeptReaders(
    partOf(memory, ["info"], {
      open: async (descriptor): Promise<BlobReader> => {
        if (isBroken) throw broken;
        return Object.assign(await memory.open(descriptor), { close: () => Promise.reject(broken) });
      },
    }),
  );
  await expect(readers.lend(digest, {})).rejects.toBe(broken);
  isBroken = false;
  const reader = await readers.lend(digest, {});
  expect(await firstByte(reader)).toBe(97);
  reader.release();
  await readers.close();
});

test("a call that was aborted gives its reason, and takes nothing", async () => {
  const digest = await storeBlob(memory, Buffer.from("abc"));
  const reason = new Error("no more");
  await expect(readers.lend(digest, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  await expect(readers.lend(digestOf("missing"), {})).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  expect(store.opened).toBe(0);
});
