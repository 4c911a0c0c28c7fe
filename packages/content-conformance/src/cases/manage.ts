import assert from "node:assert/strict";
import type { ContentStoreCase } from "../case.ts";
import { assertMissing, assertStored, list, rejects, sample, store as storeBlob } from "../material.ts";

/** Clocks of file systems lag behind by a tick or two. */
const clockSlackMs = 2000;

export const manageCases: readonly ContentStoreCase[] = [
  {
    name: "a blob that is not stored is not found",
    needs: [],
    async run({ open }) {
      const store = await open();
      const blob = sample(10);
      await assertMissing(store, blob);
      await rejects(store.delete(blob.digest), "ERR_NOT_FOUND");
    },
  },
  {
    // C-CS.1
    name: "info tells size and time of a blob, and no labels",
    needs: [],
    async run({ open }) {
      const store = await open();
      const blob = sample(1234);
      const before = Date.now() - clockSlackMs;
      await storeBlob(store, blob);
      const after = Date.now() + clockSlackMs;
      const info = await store.info(blob.digest);
      assert.equal(info.digest, blob.digest);
      assert.equal(info.size, 1234);
      assert.deepEqual(info.labels, {});
      for (const time of [info.createdAt.getTime(), info.updatedAt.getTime()]) {
        assert.ok(time >= before && time <= after, `${new Date(time).toISOString()} is not the time of the commit`);
      }
    },
  },
  {
    // C-LCS.4
    name: "a walk visits every blob once",
    needs: [],
    async run({ open }) {
      const store = await open();
      const blobs = Array.from({ length: 79 }, (_, index) => sample(100 + index, index));
      for (const blob of blobs) await storeBlob(store, blob);
      const seen = await list(store.walk());
      assert.deepEqual(
        seen.map(({ digest, size }) => `${digest} ${size}`).toSorted(),
        blobs.map(({ digest, size }) => `${digest} ${size}`).toSorted(),
      );
    },
  },
  {
    // U-LCS.6
    name: "a deleted blob is gone, others stay, and it can be stored again",
    needs: [],
    async run({ open }) {
      const store = await open();
      const [blob, other] = [sample(100, 1), sample(100, 2)];
      await storeBlob(store, blob);
      await storeBlob(store, other);
      await store.delete(blob.digest);
      await assertMissing(store, blob);
      await rejects(store.delete(blob.digest), "ERR_NOT_FOUND");
      await assertStored(store, other);
      await storeBlob(store, blob);
      await assertStored(store, blob);
    },
  },
  {
    name: "blobs are seen by other instances at once",
    needs: ["reopen"],
    async run({ open }) {
      const [one, other] = [await open(), await open()];
      const blob = sample(100);
      await storeBlob(one, blob);
      await assertStored(other, blob);
      await rejects(other.writer("again", { expected: blob }), "ERR_ALREADY_EXISTS");
      await other.delete(blob.digest);
      await assertMissing(one, blob);
    },
  },
];
