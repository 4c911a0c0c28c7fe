import assert from "node:assert/strict";
import { readBlob, streamBlob } from "@varve/content";
import type { Digest } from "@varve/digest";
import type { ContentStoreCase } from "../case.ts";
import { assertBytes, assertMissing, collect, rejects, sample, store as storeBlob, withReader } from "../material.ts";

export const readCases: readonly ContentStoreCase[] = [
  {
    name: "reading a small blob into a larger buffer gives the blob",
    rows: ["C-CS.10"],
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
    rows: ["U-CS.1"],
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
    rows: ["U-CS.1"],
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
    rows: ["U-CS.1"],
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
    rows: ["U-CS.11"],
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
    rows: ["U-CS.1"],
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
    rows: ["U-CS.1"],
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
  {
    name: "a blob that is deleted while it is read gives its bytes or fails",
    rows: ["U-LCS.6"],
    needs: [],
    async run({ open }) {
      const store = await open();
      const blob = sample(3_000_000);
      await storeBlob(store, blob);
      const reader = await store.open(blob.descriptor);
      try {
        const under = reader.stream()[Symbol.asyncIterator]();
        const chunks = [(await under.next()).value ?? new Uint8Array()];
        await store.delete(blob.digest);
        await assertMissing(store, blob);
        const rest = async (): Promise<Uint8Array> => {
          for (let next = await under.next(); next.done !== true; next = await under.next()) chunks.push(next.value);
          return Buffer.concat(chunks);
        };
        // Which of the two is a matter of what the store is made of; an early end would be taken for the whole.
        const whole = await rest().catch(() => undefined);
        if (whole !== undefined) assertBytes(whole, blob.bytes, "the stream under way");
        const target = new Uint8Array(1000);
        const got = await reader.read(target, 1_000_000).catch(() => undefined);
        if (got !== undefined) assertBytes(target, blob.bytes.subarray(1_000_000, 1_001_000), "a later read");
      } finally {
        await reader.close();
      }
    },
  },
  {
    name: "positions that are none are refused",
    rows: ["U-CS.1"],
    needs: [],
    async run({ open }) {
      const store = await open();
      const blob = sample(100);
      await storeBlob(store, blob);
      await withReader(store, blob, async (reader) => {
        for (const position of [-1, 0.5, NaN, 2 ** 60]) {
          await rejects(reader.read(new Uint8Array(1), position), "ERR_INVALID_ARGUMENT");
        }
        for (const start of [-1, 0.5]) {
          await rejects(collect(reader.stream({ start })), "ERR_INVALID_ARGUMENT");
        }
      });
    },
  },
  {
    name: "data within a descriptor is used by the helpers only, and only if it fits",
    rows: [...numbered("C-CH.", 19, 28), "U-CS.7"],
    needs: [],
    async run({ open }) {
      const store = await open();
      const [blob, other] = [sample(100, 1), sample(100, 2)];
      const fitting = { ...blob.descriptor, data: Buffer.from(blob.bytes).toString("base64") };
      const wrong = { ...blob.descriptor, data: Buffer.from(other.bytes).toString("base64") };
      const long = { ...blob.descriptor, data: Buffer.from(sample(101).bytes).toString("base64") };
      assertBytes(await readBlob(store, fitting), blob.bytes);
      assertBytes(await collect(streamBlob(store, fitting)), blob.bytes);
      for (const descriptor of [fitting, wrong, long]) await rejects(store.open(descriptor), "ERR_NOT_FOUND");
      for (const descriptor of [wrong, long]) {
        await rejects(readBlob(store, descriptor), "ERR_NOT_FOUND");
        await rejects(collect(streamBlob(store, descriptor)), "ERR_NOT_FOUND");
      }
      await storeBlob(store, blob);
      for (const descriptor of [blob.descriptor, fitting, wrong, long]) {
        assertBytes(await readBlob(store, descriptor), blob.bytes);
        assertBytes(await collect(streamBlob(store, descriptor)), blob.bytes);
      }
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what a careless caller could do
      const malformed = { ...blob.descriptor, digest: "sha256:../../x" as Digest };
      await rejects(readBlob(store, malformed), "ERR_INVALID_ARGUMENT");
    },
  },
];

function numbered(prefix: string, first: number, last: number): readonly string[] {
  return Array.from({ length: last - first + 1 }, (_, index) => `${prefix}${first + index}`);
}
