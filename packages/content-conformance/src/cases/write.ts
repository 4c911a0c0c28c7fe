import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { ContentStore } from "@varve/content";
import { digestOf } from "@varve/digest";
import type { ContentStoreCase } from "../case.ts";
import { assertMissing, assertStored, largeSample, sample, sampleOf } from "../material.ts";
import type { Sample } from "../material.ts";

const mebibyte = 1024 * 1024;
/** Clocks of file systems lag behind by a tick or two. */
const clockSlackMs = 100;

export const writeCases: readonly ContentStoreCase[] = [
  {
    name: "committed blobs of all sizes read back byte for byte",
    rows: ["C-CS.1", "U-CS.4"],
    needs: [],
    async run({ open }) {
      const store = await open();
      for (const size of [0, 1, 255, 65_536, 262_145, 3_000_001]) {
        const blob = sample(size);
        const writer = await store.writer(`size-${size}`);
        await writer.write(blob.bytes);
        assert.equal(await writer.commit({ digest: blob.digest, size }), blob.digest);
        await assertStored(store, blob);
      }
    },
  },
  {
    name: "status and digest of a writer count every byte written",
    rows: ["C-CS.2", "U-CS.3"],
    needs: [],
    async run({ open }) {
      const store = await open();
      const blob = sample(256);
      const writer = await store.writer("steps", { expected: blob });
      const { startedAt } = writer.status();
      for (let offset = 0; offset <= 256; offset += 64) {
        for (const status of [writer.status(), await store.status("steps")]) {
          assert.equal(status.ref, "steps");
          assert.equal(status.offset, offset);
          assert.equal(status.total, 256);
          assert.equal(status.expected, blob.digest);
          assert.deepEqual(status.startedAt, startedAt);
          assert.ok(status.updatedAt >= startedAt, "updated before it was started");
        }
        assert.equal(await writer.digest(), digestOf(blob.bytes.subarray(0, offset)));
        if (offset < 256) await writer.write(blob.bytes.subarray(offset, offset + 64));
      }
      await writer.commit(blob);
      await assertStored(store, blob);
    },
  },
  {
    name: "many small chunks give the same blob as one large one",
    rows: ["U-CS.4"],
    needs: [],
    async run({ open }) {
      const store = await open();
      const blob = sample(700_000);
      const writer = await store.writer("small chunks");
      for (let offset = 0, step = 1; offset < blob.size; offset += step, step = (step * 7) % 9973) {
        step = Math.max(step, 1);
        await writer.write(blob.bytes.subarray(offset, offset + step));
      }
      await writer.commit(blob);
      await assertStored(store, blob);
    },
  },
  {
    name: "a chunk may be reused when its write has resolved",
    rows: ["U-CS.4"],
    needs: [],
    async run({ open }) {
      const store = await open();
      const blob = sample(300_000);
      const writer = await store.writer("reused");
      // A Buffer, as most chunks are: its `slice` is no copy.
      const chunk = Buffer.alloc(1000);
      for (let offset = 0; offset < blob.size; offset += chunk.byteLength) {
        chunk.set(blob.bytes.subarray(offset, offset + chunk.byteLength));
        await writer.write(chunk);
        chunk.fill(0);
      }
      await writer.commit(blob);
      await assertStored(store, blob);
    },
  },
  {
    name: "status tells when bytes were last written",
    rows: ["C-CS.2", "U-CS.3"],
    needs: [],
    async run({ open }) {
      const store = await open();
      const begun = Date.now();
      const writer = await store.writer("timed");
      const { startedAt } = writer.status();
      assert.ok(startedAt.getTime() >= begun - clockSlackMs, "started before it was opened");
      assert.ok(startedAt.getTime() <= Date.now() + clockSlackMs, "started after it was opened");
      for (let step = 0; step < 2; step += 1) {
        await sleep(2 * clockSlackMs);
        const before = Date.now() - clockSlackMs;
        await writer.write(sample(64).bytes);
        for (const { updatedAt } of [writer.status(), await store.status("timed")]) {
          // Bytes may reach a file a moment after they were taken.
          const after = Date.now() + clockSlackMs;
          assert.ok(updatedAt.getTime() >= before, `updated at ${updatedAt.toISOString()}, before the write`);
          assert.ok(updatedAt.getTime() <= after, `updated at ${updatedAt.toISOString()}, after the write`);
        }
        assert.deepEqual(writer.status().startedAt, startedAt);
      }
      await writer.close();
    },
  },
  {
    name: "five writers at once do not disturb each other",
    rows: ["C-CS.1"],
    needs: [],
    async run({ open }) {
      const store = await open();
      const blobs = [256, 32 * mebibyte, 257, 32 * mebibyte, 255].map((size, index) => largeSample(size, index));
      await Promise.all(blobs.map((blob, index) => writeWatched(store, blob, index)));
      for (const blob of blobs) await assertStored(store, blob);
    },
  },
  {
    name: "the running digest uses the algorithm of the expected one",
    rows: ["C-LCS.3", "U-LCS.9"],
    needs: [],
    async run({ open }) {
      const store = await open();
      const { bytes } = sample(5000);
      for (const algorithm of ["sha384", "sha512"] as const) {
        const blob = sampleOf(bytes, digestOf(bytes, algorithm));
        const writer = await store.writer(algorithm, { expected: blob });
        await writer.write(bytes);
        assert.equal(await writer.digest(), blob.digest);
        assert.equal(await writer.commit(), blob.digest);
        await assertStored(store, blob);
      }
    },
  },
  {
    name: "a commit may ask for another algorithm than the writer was opened with",
    rows: ["U-LCS.9"],
    needs: [],
    async run({ open }) {
      const store = await open();
      const { bytes } = sample(600_000);
      const blob = sampleOf(bytes, digestOf(bytes, "sha512"));
      const writer = await store.writer("other algorithm");
      await writer.write(bytes);
      assert.equal(await writer.commit(blob), blob.digest);
      await assertStored(store, blob);
    },
  },
  {
    name: "a blob cannot be seen before its commit",
    rows: ["U-LCS.10"],
    needs: [],
    async run({ open }) {
      const store = await open();
      const blob = sample(1000);
      const writer = await store.writer("unseen", { expected: blob });
      await writer.write(blob.bytes);
      await assertMissing(store, blob);
      await writer.close();
      await assertMissing(store, blob);
    },
  },
];

/** Every other writer is told beforehand what it will write, the rest when they commit. */
async function writeWatched(store: ContentStore, blob: Sample, index: number): Promise<void> {
  const ref = `at-once-${index}`;
  const told = index % 2 === 1;
  const writer = await store.writer(ref, told ? { expected: blob } : {});
  const step = mebibyte;
  const { startedAt } = writer.status();
  for (let offset = 0; offset < blob.size; offset += step) {
    for (const status of offset % (16 * mebibyte) === 0 ? [writer.status(), await store.status(ref)] : []) {
      assert.equal(status.ref, ref);
      assert.equal(status.offset, offset, `${ref}: offset`);
      assert.equal(status.total, told ? blob.size : undefined);
      assert.equal(status.expected, told ? blob.digest : undefined);
      assert.deepEqual(status.startedAt, startedAt);
    }
    await writer.write(blob.bytes.subarray(offset, offset + step));
  }
  assert.equal((await store.status(ref)).offset, blob.size, `${ref}: offset at the end`);
  assert.equal(await writer.digest(), blob.digest, `${ref}: digest`);
  assert.equal(await writer.commit(told ? {} : blob), blob.digest);
}
