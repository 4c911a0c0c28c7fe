import assert from "node:assert/strict";
import type { ContentStoreCase } from "../case.ts";
import { labelable, list, rejects, rejectsWith, sample, store as storeBlob } from "../material.ts";

export const labelCases: readonly ContentStoreCase[] = [
  {
    name: "labels given at the commit are kept with the blob",
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
    // C-CS.11
    name: "labels are added, changed and removed by name, and others stay",
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
    name: "any text is a label name",
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
    needs: ["labels"],
    async run({ open }) {
      const store = labelable(await open());
      await rejects(store.label(sample(100).digest, { a: "1" }), "ERR_NOT_FOUND");
    },
  },
  {
    // U-MD.2
    name: "a label that is too long is refused and nothing is changed",
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
