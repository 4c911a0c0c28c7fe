import assert from "node:assert/strict";
import { digestOf } from "@varve/digest";
import type { ContentStoreCase } from "../case.ts";
import { assertMissing, assertStored, sample, sampleOf } from "../material.ts";

export const writeCases: readonly ContentStoreCase[] = [
  {
    name: "committed blobs of all sizes read back byte for byte",
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
    // C-CS.2
    name: "status and digest of a writer count every byte written",
    needs: [],
    async run({ open }) {
      const store = await open();
      const blob = sample(256);
      const writer = await store.writer("steps", { expected: blob });
      const { startedAt } = writer.status();
      for (let offset = 0; offset <= 256; offset += 64) {
        const status = writer.status();
        assert.equal(status.ref, "steps");
        assert.equal(status.offset, offset);
        assert.equal(status.total, 256);
        assert.equal(status.expected, blob.digest);
        assert.deepEqual(status.startedAt, startedAt);
        assert.ok(status.updatedAt >= startedAt, "updated before it was started");
        assert.equal(writer.digest(), digestOf(blob.bytes.subarray(0, offset)));
        if (offset < 256) await writer.write(blob.bytes.subarray(offset, offset + 64));
      }
      await writer.commit(blob);
      await assertStored(store, blob);
    },
  },
  {
    name: "many small chunks give the same blob as one large one",
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
    // C-CS.1
    name: "five writers at once do not disturb each other",
    needs: [],
    async run({ open }) {
      const store = await open();
      const blobs = [256, 100_000, 1_000_000, 257, 999_999].map((size, index) => sample(size, index));
      await Promise.all(
        blobs.map(async (blob, index) => {
          const writer = await store.writer(`at-once-${index}`, index % 2 === 0 ? {} : { expected: blob });
          for (let offset = 0; offset < blob.size; offset += 40_000) {
            await writer.write(blob.bytes.subarray(offset, offset + 40_000));
          }
          await writer.commit(index % 2 === 0 ? blob : {});
        }),
      );
      for (const blob of blobs) await assertStored(store, blob);
    },
  },
  {
    // U-LCS.9
    name: "the running digest uses the algorithm of the expected one",
    needs: [],
    async run({ open }) {
      const store = await open();
      const { bytes } = sample(5000);
      for (const algorithm of ["sha384", "sha512"] as const) {
        const blob = sampleOf(bytes, digestOf(bytes, algorithm));
        const writer = await store.writer(algorithm, { expected: blob });
        await writer.write(bytes);
        assert.equal(writer.digest(), blob.digest);
        assert.equal(await writer.commit(), blob.digest);
        await assertStored(store, blob);
      }
    },
  },
  {
    // U-LCS.9
    name: "a commit may ask for another algorithm than the writer was opened with",
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
