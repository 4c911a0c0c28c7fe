import assert from "node:assert/strict";
import type { ContentStoreCase } from "../case.ts";
import {
  assertBytes,
  assertMissing,
  assertStored,
  collect,
  list,
  quarantining,
  rejects,
  rejectsWith,
  sample,
  store as storeBlob,
  withReader,
} from "../material.ts";

/** Clocks of file systems lag behind by a tick or two. */
const clockSlackMs = 2000;

export const quarantineCases: readonly ContentStoreCase[] = [
  {
    name: "a quarantined blob is missing, and can be written again",
    rows: ["F11", "G-11"],
    needs: ["quarantine"],
    async run({ open }) {
      const store = quarantining(await open());
      const [blob, other] = [sample(1000, 1), sample(1000, 2)];
      await storeBlob(store, blob);
      await storeBlob(store, other);
      await store.quarantine(blob.digest);
      await assertMissing(store, blob);
      await assertStored(store, other);
      await storeBlob(store, blob);
      await assertStored(store, blob);
    },
  },
  {
    name: "what is quarantined is listed until it is discarded",
    rows: ["F11"],
    needs: ["quarantine"],
    async run({ open }) {
      const store = quarantining(await open());
      assert.deepEqual(await list(store.quarantined()), []);
      const blob = sample(1000);
      const before = Date.now() - clockSlackMs;
      await storeBlob(store, blob);
      const first = await store.quarantine(blob.digest);
      // The same digest once more: what replaced the damaged bytes can be damaged too.
      await storeBlob(store, blob);
      const second = await store.quarantine(blob.digest);
      assert.notEqual(first.id, second.id);
      for (const entry of [first, second]) {
        assert.equal(entry.digest, blob.digest);
        assert.equal(entry.size, 1000);
        assert.ok(!entry.id.includes("/"), `${entry.id} has a slash`);
        const time = entry.quarantinedAt.getTime();
        assert.ok(time >= before && time <= Date.now() + clockSlackMs, "the time it was taken away");
      }
      assert.deepEqual(
        (await list(store.quarantined())).map(({ id }) => id).toSorted(),
        [first.id, second.id].toSorted(),
      );
      await store.discard(first.id);
      assert.deepEqual(await list(store.quarantined()), [second]);
      await storeBlob(store, blob);
      await store.discard(second.id);
      assert.deepEqual(await list(store.quarantined()), []);
      await assertStored(store, blob);
    },
  },
  {
    name: "quarantining does not disturb who has the blob open",
    rows: ["F11"],
    needs: ["quarantine"],
    async run({ open }) {
      const store = quarantining(await open());
      const blob = sample(1_000_000);
      await storeBlob(store, blob);
      await withReader(store, blob, async (reader) => {
        const stream = reader.stream()[Symbol.asyncIterator]();
        const chunks = [(await stream.next()).value ?? new Uint8Array()];
        await store.quarantine(blob.digest);
        for (let next = await stream.next(); next.done !== true; next = await stream.next()) chunks.push(next.value);
        assertBytes(Buffer.concat(chunks), blob.bytes, "the stream under way");
        assertBytes(await collect(reader.stream()), blob.bytes, "a new stream of the same reader");
      });
    },
  },
  {
    name: "what is not there can be neither quarantined nor discarded",
    rows: ["F11"],
    needs: ["quarantine"],
    async run({ open }) {
      const store = quarantining(await open());
      const blob = sample(10);
      await rejects(store.quarantine(blob.digest), "ERR_NOT_FOUND");
      await storeBlob(store, blob);
      const { id } = await store.quarantine(blob.digest);
      await rejects(store.quarantine(blob.digest), "ERR_NOT_FOUND");
      for (const wrong of ["nobody", "..", `../${id}`, ""]) await rejects(store.discard(wrong), "ERR_NOT_FOUND");
      await store.discard(id);
      await rejects(store.discard(id), "ERR_NOT_FOUND");
    },
  },
  {
    name: "of many who quarantine a blob at once exactly one does",
    rows: ["F11"],
    needs: ["quarantine"],
    async run({ open }) {
      const store = quarantining(await open());
      const blob = sample(10);
      await storeBlob(store, blob);
      const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => store.quarantine(blob.digest)));
      assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
      assert.equal((await list(store.quarantined())).length, 1);
    },
  },
  {
    name: "an aborted signal quarantines and discards nothing",
    rows: ["D13"],
    needs: ["quarantine"],
    async run({ open }) {
      const store = quarantining(await open());
      const [blob, other] = [sample(10, 1), sample(10, 2)];
      await storeBlob(store, blob);
      await storeBlob(store, other);
      const { id } = await store.quarantine(other.digest);
      const reason = new Error("enough");
      const signal = AbortSignal.abort(reason);
      await rejectsWith(store.quarantine(blob.digest, { signal }), reason, "quarantine");
      await rejectsWith(list(store.quarantined({ signal })), reason, "quarantined");
      await rejectsWith(store.discard(id, { signal }), reason, "discard");
      await assertStored(store, blob);
      assert.deepEqual(
        (await list(store.quarantined())).map((entry) => entry.id),
        [id],
      );
    },
  },
  {
    name: "what one instance quarantined is seen and discarded by another",
    rows: ["F11"],
    needs: ["quarantine", "reopen"],
    async run({ open }) {
      const [one, other] = [quarantining(await open()), quarantining(await open())];
      const blob = sample(10);
      await storeBlob(one, blob);
      const entry = await one.quarantine(blob.digest);
      await assertMissing(other, blob);
      assert.deepEqual(await list(other.quarantined()), [entry]);
      await other.discard(entry.id);
      assert.deepEqual(await list(one.quarantined()), []);
    },
  },
];
