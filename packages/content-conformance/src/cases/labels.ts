import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { ContentStoreCase } from "../case.ts";
import { assertMissing, labelable, list, rejects, rejectsWith, sample, store as storeBlob } from "../material.ts";

export const labelCases: readonly ContentStoreCase[] = [
  {
    name: "labels given at the commit are kept with the blob",
    rows: ["C-CS.1", "U-CS.2"],
    needs: ["labels"],
    async run({ open }) {
      const store = labelable(await open());
      const blob = sample(100);
      const writer = await store.writer("labelled");
      await writer.write(blob.bytes);
      await writer.commit(blob, { labels: { colour: "red", size: "" } });
      assert.deepEqual((await store.info(blob.digest)).labels, { colour: "red", size: "" });
      const [walked] = await list(store.walk());
      assert.deepEqual(walked?.labels, { colour: "red", size: "" });
    },
  },
  {
    name: "labels are added, changed and removed by name, and others stay",
    rows: ["C-CS.11", "U-LCS.4"],
    needs: ["labels"],
    async run({ open }) {
      const store = labelable(await open());
      const blob = sample(100);
      await storeBlob(store, blob);
      const added = await store.label(blob.digest, { a: "1", b: "2", c: "3" });
      assert.deepEqual(added.labels, { a: "1", b: "2", c: "3" });
      const changed = await store.label(blob.digest, { a: "one", b: undefined, missing: undefined, d: "4" });
      assert.deepEqual(changed.labels, { a: "one", c: "3", d: "4" });
      assert.equal(changed.size, blob.size);
      assert.deepEqual((await store.info(blob.digest)).labels, changed.labels);
    },
  },
  {
    name: "labels are replaced as a whole if that is asked for",
    rows: ["C-CS.11", "U-LCS.4"],
    needs: ["labels"],
    async run({ open }) {
      const store = labelable(await open());
      const blob = sample(100);
      await storeBlob(store, blob);
      await store.label(blob.digest, { a: "1", b: "2" });
      const replaced = await store.label(blob.digest, { b: "two", c: "3", a: undefined }, { replace: true });
      assert.deepEqual(replaced.labels, { b: "two", c: "3" });
      assert.deepEqual((await store.info(blob.digest)).labels, { b: "two", c: "3" });
      await rejects(store.label(blob.digest, { long: "x".repeat(5000) }, { replace: true }), "ERR_INVALID_ARGUMENT");
      assert.deepEqual((await store.info(blob.digest)).labels, { b: "two", c: "3" });
      assert.deepEqual((await store.label(blob.digest, {}, { replace: true })).labels, {});
    },
  },
  {
    name: "changing labels changes the time of the blob's last change only",
    rows: ["U-CS.2", "U-LCS.4"],
    needs: ["labels"],
    async run({ open }) {
      const store = labelable(await open());
      const blob = sample(100);
      await storeBlob(store, blob);
      const before = await store.info(blob.digest);
      await sleep(20);
      const after = await store.label(blob.digest, { a: "1" });
      assert.deepEqual(after.createdAt, before.createdAt);
      assert.ok(after.updatedAt > before.updatedAt, "updatedAt did not change");
      assert.deepEqual(await store.info(blob.digest), after);
    },
  },
  {
    name: "a commit with a label that is too long keeps the ingest",
    rows: ["U-MD.2", "U-LCS.11"],
    needs: ["labels"],
    async run({ open }) {
      const store = labelable(await open());
      const blob = sample(100);
      const first = await store.writer("labelled");
      await first.write(blob.bytes);
      await rejects(first.commit(blob, { labels: { a: "1", long: "x".repeat(4093) } }), "ERR_INVALID_ARGUMENT");
      await assertMissing(store, blob);
      const second = await store.writer("labelled");
      assert.equal(second.status().offset, 100);
      await second.commit(blob, { labels: { a: "1" } });
      assert.deepEqual((await store.info(blob.digest)).labels, { a: "1" });
    },
  },
  {
    name: "any text is a label name",
    rows: ["C-CS.11", "U-CS.2"],
    needs: ["labels"],
    async run({ open }) {
      const store = labelable(await open());
      const blob = sample(100);
      await storeBlob(store, blob);
      const entries: [string, string][] = [
        ["__proto__", "x"],
        ["constructor", "y"],
        ["containerd.io/gc.ref.content.l.0", "z"],
        ["é'\"", "\n"],
      ];
      await store.label(blob.digest, Object.fromEntries(entries));
      const { labels } = await store.info(blob.digest);
      assert.deepEqual(new Map(Object.entries(labels)), new Map(entries));
    },
  },
  {
    name: "labels of a blob that is not stored cannot be changed",
    rows: ["U-LCS.4"],
    needs: ["labels"],
    async run({ open }) {
      const store = labelable(await open());
      await rejects(store.label(sample(100).digest, { a: "1" }), "ERR_NOT_FOUND");
    },
  },
  {
    name: "a label that is too long is refused and nothing is changed",
    rows: ["U-MD.2"],
    needs: ["labels"],
    async run({ open }) {
      const store = labelable(await open());
      const blob = sample(100);
      await storeBlob(store, blob);
      await store.label(blob.digest, { full: "x".repeat(4092) });
      await rejects(store.label(blob.digest, { a: "1", long: "x".repeat(4093) }), "ERR_INVALID_ARGUMENT");
      await rejects(store.label(blob.digest, { wide: "é".repeat(2047) }), "ERR_INVALID_ARGUMENT");
      assert.deepEqual(Object.keys((await store.info(blob.digest)).labels), ["full"]);
    },
  },
  {
    name: "many changes of labels at once are all made",
    rows: ["C-CS.11"],
    needs: ["labels"],
    async run({ open }) {
      const store = labelable(await open());
      const blob = sample(100);
      await storeBlob(store, blob);
      const names = Array.from({ length: 20 }, (_, index) => `label-${index}`);
      await Promise.all(names.map((name) => store.label(blob.digest, { [name]: name })));
      assert.deepEqual(Object.keys((await store.info(blob.digest)).labels).toSorted(), names.toSorted());
    },
  },
  {
    name: "labels go with their blob",
    rows: ["U-CS.2"],
    needs: ["labels"],
    async run({ open }) {
      const store = labelable(await open());
      const blob = sample(100);
      await storeBlob(store, blob);
      await store.label(blob.digest, { a: "1" });
      await store.delete(blob.digest);
      await storeBlob(store, blob);
      assert.deepEqual((await store.info(blob.digest)).labels, {});
    },
  },
  {
    name: "an aborted signal leaves labels as they are",
    rows: ["D13"],
    needs: ["labels"],
    async run({ open }) {
      const store = labelable(await open());
      const blob = sample(100);
      await storeBlob(store, blob);
      const reason = new Error("enough");
      await rejectsWith(store.label(blob.digest, { a: "1" }, { signal: AbortSignal.abort(reason) }), reason, "label");
      assert.deepEqual((await store.info(blob.digest)).labels, {});
    },
  },
  {
    name: "labels are seen by other instances at once",
    rows: ["C-CS.11"],
    needs: ["labels", "reopen"],
    async run({ open }) {
      const [one, other] = [labelable(await open()), labelable(await open())];
      const blob = sample(100);
      await storeBlob(one, blob);
      await one.label(blob.digest, { a: "1" });
      await other.label(blob.digest, { b: "2" });
      assert.deepEqual((await one.info(blob.digest)).labels, { a: "1", b: "2" });
    },
  },
];
