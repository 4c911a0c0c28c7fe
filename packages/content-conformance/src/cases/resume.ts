import assert from "node:assert/strict";
import { copyBlob } from "@varve/content";
import type { ContentStore } from "@varve/content";
import { digestOf } from "@varve/digest";
import type { ContentStoreCase } from "../case.ts";
import { assertStored, leave, list, sample } from "../material.ts";
import type { Sample } from "../material.ts";

export const resumeCases: readonly ContentStoreCase[] = [
  {
    // C-CS.4, U-LCS.13
    name: "closing keeps the bytes and the next writer continues there",
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
      assert.equal(second.digest(), digestOf(half));
      await second.write(blob.bytes.subarray(300_000));
      await second.commit(blob);
      await assertStored(store, blob);
    },
  },
  {
    // C-CS.6
    name: "writing only what is missing gives the whole blob",
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
    // C-CS.5, C-LCS.5
    name: "truncating and writing all gives the whole blob",
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
    // C-CS.7 to C-CS.9
    name: "the copy helper asks for what is missing",
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
    // U-LCS.8
    name: "an ingest of another total size starts over",
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
      assert.equal(second.digest(), digestOf(blob.bytes.subarray(0, 400_000)));
      await second.write(blob.bytes.subarray(400_000));
      await second.commit(blob);
      await assertStored(other, blob);
    },
  },
];

type Continue = (store: ContentStore, ref: string, blob: Sample, stored: number) => Promise<void>;

/** Sizes 500, 5000 and 300000 with 0, 10, 50, 90 and 100 % already written. */
async function eachPart(store: ContentStore, finish: Continue): Promise<void> {
  for (const size of [500, 5000, 300_000]) {
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
