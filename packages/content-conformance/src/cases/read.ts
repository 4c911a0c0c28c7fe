import assert from "node:assert/strict";
import type { ContentStoreCase } from "../case.ts";
import { assertBytes, collect, rejects, sample, store as storeBlob, withReader } from "../material.ts";

export const readCases: readonly ContentStoreCase[] = [
  {
    // C-CS.10
    name: "reading a small blob into a larger buffer gives the blob",
    needs: [],
    async run({ open }) {
      const store = await open();
      const blob = sample(3);
      await storeBlob(store, blob);
      await withReader(store, blob, async (reader) => {
        const target = new Uint8Array(10);
        assert.equal(await reader.read(target, 0), 3);
        assertBytes(target.subarray(0, 3), blob.bytes);
        assertBytes(target.subarray(3), new Uint8Array(7), "the bytes behind the blob");
      });
    },
  },
  {
    name: "any part of a blob can be read, and nothing behind its end",
    needs: [],
    async run({ open }) {
      const store = await open();
      const blob = sample(600_000);
      await storeBlob(store, blob);
      await withReader(store, blob, async (reader) => {
        for (const [position, length] of [
          [0, 1],
          [1, 300_000],
          [262_143, 2],
          [599_990, 10],
          [599_990, 100],
        ] as const) {
          const target = new Uint8Array(length);
          const expected = blob.bytes.subarray(position, position + length);
          assert.equal(await reader.read(target, position), expected.byteLength);
          assertBytes(target.subarray(0, expected.byteLength), expected);
        }
        assert.equal(await reader.read(new Uint8Array(10), 600_000), 0);
        assert.equal(await reader.read(new Uint8Array(10), 700_000), 0);
        assert.equal(await reader.read(new Uint8Array(0), 0), 0);
      });
    },
  },
  {
    name: "streams give the range asked for",
    needs: [],
    async run({ open }) {
      const store = await open();
      const blob = sample(600_000);
      await storeBlob(store, blob);
      await withReader(store, blob, async (reader) => {
        const ranges = [{}, { start: 1 }, { end: 5 }, { start: 262_143, end: 262_145 }, { start: 10, end: 10 }];
        for (const range of [...ranges, { start: 599_999, end: 900_000 }, { start: 600_000 }, { start: 800_000 }]) {
          const { start = 0, end = blob.size }: { start?: number; end?: number } = range;
          assertBytes(await collect(reader.stream(range)), blob.bytes.subarray(start, end), JSON.stringify(range));
        }
      });
    },
  },
  {
    name: "a chunk of a stream belongs to the consumer",
    needs: [],
    async run({ open }) {
      const store = await open();
      const blob = sample(600_000);
      await storeBlob(store, blob);
      await withReader(store, blob, async (reader) => {
        const kept: Uint8Array[] = [];
        for await (const chunk of reader.stream()) kept.push(chunk);
        assertBytes(Buffer.concat(kept), blob.bytes, "chunks kept to the end");
        for (const chunk of kept) chunk.fill(0);
        assertBytes(await collect(reader.stream()), blob.bytes, "a second stream");
      });
    },
  },
  {
    name: "a stream that may reuse its memory gives the same bytes to who copies at once",
    needs: [],
    async run({ open }) {
      const store = await open();
      const blob = sample(600_000);
      await storeBlob(store, blob);
      await withReader(store, blob, async (reader) => {
        const copies: Uint8Array[] = [];
        for await (const chunk of reader.stream({ start: 1, reuse: true })) copies.push(new Uint8Array(chunk));
        assertBytes(Buffer.concat(copies), blob.bytes.subarray(1));
      });
    },
  },
  {
    name: "many reads and streams may run at once",
    needs: [],
    async run({ open }) {
      const store = await open();
      const blob = sample(600_000);
      await storeBlob(store, blob);
      await withReader(store, blob, async (reader) => {
        const streams = Array.from({ length: 5 }, () => collect(reader.stream()));
        const reads = Array.from({ length: 20 }, async (_, index) => {
          const target = new Uint8Array(10_000);
          await reader.read(target, index * 10_000);
          return target;
        });
        for (const bytes of await Promise.all(streams)) assertBytes(bytes, blob.bytes);
        for (const [index, bytes] of (await Promise.all(reads)).entries()) {
          assertBytes(bytes, blob.bytes.subarray(index * 10_000, (index + 1) * 10_000));
        }
      });
    },
  },
  {
    name: "a closed reader gives no more bytes",
    needs: [],
    async run({ open }) {
      const store = await open();
      const blob = sample(3_000_000);
      await storeBlob(store, blob);
      const reader = await store.open(blob.descriptor);
      const under = reader.stream()[Symbol.asyncIterator]();
      assert.equal((await under.next()).done, false);
      await reader.close();
      await reader.close();
      await rejects(reader.read(new Uint8Array(1), 0), "ERR_FAILED_PRECONDITION");
      const rest = async (): Promise<void> => {
        while ((await under.next()).done !== true);
      };
      await rejects(rest(), "ERR_FAILED_PRECONDITION");
    },
  },
];
