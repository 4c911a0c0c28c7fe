import assert from "node:assert/strict";
import { hasCode } from "@varve/errors";
import type { ContentStoreCase } from "../case.ts";
import { assertMissing, assertStored, list, rejects, sample, store as storeBlob } from "../material.ts";

/** Clocks of file systems lag behind by a tick or two. */
const clockSlackMs = 2000;

export const manageCases: readonly ContentStoreCase[] = [
  {
    name: "a blob that is not stored is not found",
    rows: ["U-LCS.6"],
    needs: [],
    async run({ open }) {
      const store = await open();
      const blob = sample(10);
      await assertMissing(store, blob);
      await rejects(store.delete(blob.digest), "ERR_NOT_FOUND");
    },
  },
  {
    name: "info tells size and time of a blob, and no labels",
    rows: ["C-CS.1", "U-CS.2"],
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
    name: "a walk visits every blob once",
    rows: ["C-LCS.4", "U-LCS.5"],
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
    name: "a deleted blob is gone, others stay, and it can be stored again",
    rows: ["U-LCS.6"],
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
    name: "of many who delete a blob at once exactly one does",
    rows: ["U-LCS.6"],
    needs: [],
    async run({ open }) {
      const store = await open();
      const blob = sample(100);
      await storeBlob(store, blob);
      const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => store.delete(blob.digest)));
      assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
      for (const outcome of outcomes) {
        if (outcome.status === "rejected") assert.ok(hasCode(outcome.reason, "ERR_NOT_FOUND"), String(outcome.reason));
      }
      await assertMissing(store, blob);
    },
  },
  {
    name: "blobs may come and go during a walk",
    rows: ["U-LCS.5", "U-MD.16"],
    needs: [],
    async run({ open }) {
      const store = await open();
      const blobs = Array.from({ length: 20 }, (_, index) => sample(100 + index, index));
      for (const blob of blobs) await storeBlob(store, blob);
      const seen = new Set<string>();
      for await (const { digest } of store.walk()) {
        assert.ok(!seen.has(digest), `${digest} was shown twice`);
        seen.add(digest);
        await store.info(digest);
        await store.delete(digest);
        if (seen.size <= 30) await storeBlob(store, sample(1000 + seen.size));
      }
      assert.ok(
        blobs.every(({ digest }) => seen.has(digest)),
        "a blob that was there all the time was not shown",
      );
    },
  },
  {
    name: "blobs are seen by other instances at once",
    rows: ["C01"],
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
