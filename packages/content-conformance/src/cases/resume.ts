import assert from "node:assert/strict";
import { copyBlob, writeBlob } from "@varve/content";
import type { ContentStore } from "@varve/content";
import { digestOf } from "@varve/digest";
import type { ContentStoreCase } from "../case.ts";
import { assertStored, leave, list, sample, sampleOf, store as storeBlob, withReader } from "../material.ts";
import type { Sample } from "../material.ts";

export const resumeCases: readonly ContentStoreCase[] = [
  {
    name: "closing keeps the bytes and the next writer continues there",
    rows: ["C-CS.4", "U-LCS.13"],
    needs: [],
    async run({ open }) {
      const store = await open();
      const blob = sample(600_000);
      const half = blob.bytes.subarray(0, 300_000);
      const first = await store.writer("half", { expected: blob });
      await first.write(half);
      const { startedAt } = first.status();
      await first.close();
      const status = await store.status("half");
      assert.equal(status.offset, 300_000);
      assert.equal(status.total, blob.size);
      assert.equal(status.expected, blob.digest);
      assert.deepEqual(status.startedAt, startedAt);
      const second = await store.writer("half");
      assert.equal(second.status().offset, 300_000);
      assert.deepEqual(second.status().startedAt, startedAt);
      assert.equal(await second.digest(), digestOf(half));
      await second.write(blob.bytes.subarray(300_000));
      await second.commit(blob);
      await assertStored(store, blob);
    },
  },
  {
    name: "writing only what is missing gives the whole blob",
    rows: ["C-CS.6"],
    needs: [],
    run: async ({ open }) =>
      eachPart(await open(), async (store, ref, blob, stored) => {
        const writer = await store.writer(ref, { expected: blob });
        assert.equal(writer.status().offset, stored);
        await writer.write(blob.bytes.subarray(stored));
        await writer.commit(blob);
      }),
  },
  {
    name: "truncating and writing all gives the whole blob",
    rows: ["C-CS.5", "C-LCS.5", "U-LCS.12"],
    needs: [],
    run: async ({ open }) =>
      eachPart(await open(), async (store, ref, blob) => {
        const writer = await store.writer(ref, { expected: blob });
        await writer.truncate();
        await writer.write(blob.bytes);
        await writer.commit(blob);
      }),
  },
  {
    name: "the copy helper asks for what is missing",
    rows: ["C-CS.8", "C-CH.1", "C-CH.2", "U-CS.10"],
    needs: [],
    run: async ({ open }) =>
      eachPart(await open(), async (store, ref, blob, stored) => {
        const writer = await store.writer(ref, { expected: blob });
        const asked: number[] = [];
        const from = async function* (offset: number): AsyncGenerator<Uint8Array> {
          asked.push(offset);
          yield await Promise.resolve(blob.bytes.subarray(offset));
        };
        assert.equal(await copyBlob(writer, from, blob), blob.digest);
        assert.deepEqual(asked, stored === blob.size ? [] : [stored]);
      }),
  },
  {
    name: "a stream from the first byte on is skipped to what is missing",
    rows: ["C-CS.7", "C-CH.3", "U-CS.9", "U-CS.10"],
    needs: [],
    run: async ({ open }) =>
      eachPart(await open(), async (store, ref, blob) => {
        const stream = async function* (): AsyncGenerator<Uint8Array> {
          // Chunks that do not end where the stored bytes do.
          for (let offset = 0; offset < blob.size; offset += 777) {
            yield await Promise.resolve(blob.bytes.subarray(offset, offset + 777));
          }
        };
        assert.equal(await writeBlob(store, ref, stream(), { expected: blob }), blob.digest);
      }),
  },
  {
    name: "what is missing can be copied from a reader of another store",
    rows: ["C-CS.9", "U-CS.10"],
    needs: [],
    run: async ({ open }) =>
      eachPart(await open(), async (store, ref, blob) => {
        // The same bytes under another digest stand for the other store.
        const twin = sampleOf(blob.bytes, digestOf(blob.bytes, "sha512"));
        await storeBlob(store, twin);
        const writer = await store.writer(ref, { expected: blob });
        await withReader(store, twin, (reader) => copyBlob(writer, (start) => reader.stream({ start }), blob));
      }),
  },
  {
    name: "writing what is stored already is success for the helpers",
    rows: ["C-CH.4", "U-CS.9", "U-CS.10"],
    needs: [],
    async run({ open }) {
      const store = await open();
      const blob = sample(5000);
      const late = await store.writer("late");
      await storeBlob(store, blob);
      assert.equal(await writeBlob(store, "again", blob.bytes, { expected: blob }), blob.digest);
      assert.equal(await writeBlob(store, "unnamed", blob.bytes), blob.digest);
      const source = async function* (): AsyncGenerator<Uint8Array> {
        yield await Promise.resolve(blob.bytes);
      };
      assert.equal(await copyBlob(late, source, blob), blob.digest);
      assert.deepEqual(await list(store.statuses()), []);
      await assertStored(store, blob);
    },
  },
  {
    name: "an ingest of another total size starts over",
    rows: ["U-LCS.8"],
    needs: [],
    async run({ open }) {
      const store = await open();
      const [old, blob] = [sample(1000, 1), sample(2000, 2)];
      const first = await store.writer("reused", { expected: old });
      await first.write(old.bytes.subarray(0, 500));
      await first.close();
      const second = await store.writer("reused", { expected: blob });
      assert.equal(second.status().offset, 0);
      assert.equal(second.status().total, 2000);
      await second.write(blob.bytes);
      await second.commit(blob);
      await assertStored(store, blob);
    },
  },
  {
    name: "an ingest can be continued by another instance of the store",
    rows: ["C-CS.4", "U-LCS.13", "G-1"],
    needs: ["reopen"],
    async run({ open }) {
      const blob = sample(600_000);
      const one = await open();
      const first = await one.writer("moved", { expected: blob });
      await first.write(blob.bytes.subarray(0, 400_000));
      const { startedAt } = first.status();
      await one.close();
      const other = await open();
      const [status] = await list(other.statuses());
      assert.equal(status?.ref, "moved");
      assert.equal(status?.offset, 400_000);
      assert.equal(status?.total, blob.size);
      assert.equal(status?.expected, blob.digest);
      assert.deepEqual(status?.startedAt, startedAt);
      const second = await other.writer("moved", { expected: blob });
      assert.equal(await second.digest(), digestOf(blob.bytes.subarray(0, 400_000)));
      await second.write(blob.bytes.subarray(400_000));
      await second.commit(blob);
      await assertStored(other, blob);
    },
  },
];

type Continue = (store: ContentStore, ref: string, blob: Sample, stored: number) => Promise<void>;

/** Sizes 500, 5000, 50000 and 300000 with 0, 10, 50, 90 and 100 % already written. */
async function eachPart(store: ContentStore, finish: Continue): Promise<void> {
  for (const size of [500, 5000, 50_000, 300_000]) {
    for (const percent of [0, 10, 50, 90, 100]) {
      const blob = sample(size, percent + 1);
      const stored = (size * percent) / 100;
      const ref = `${size}-${percent}`;
      await leave(store, ref, blob.bytes.subarray(0, stored));
      await finish(store, ref, blob, stored);
      await assertStored(store, blob);
    }
  }
}
