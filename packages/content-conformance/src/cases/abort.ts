import assert from "node:assert/strict";
import type { ContentStoreCase } from "../case.ts";
import { assertStored, leave, list, rejects, rejectsWith, sample, store as storeBlob } from "../material.ts";

export const abortCases: readonly ContentStoreCase[] = [
  {
    name: "what is no ingest is not found",
    rows: ["U-LCS.14"],
    needs: [],
    async run({ open }) {
      const store = await open();
      await rejects(store.status("nobody"), "ERR_NOT_FOUND");
      await rejects(store.abort("nobody"), "ERR_NOT_FOUND");
    },
  },
  {
    name: "all ingests are listed, those being written too",
    rows: ["C-LCS.3", "U-CS.3", "U-LCS.15"],
    needs: [],
    async run({ open }) {
      const store = await open();
      await leave(store, "left", sample(10).bytes);
      const writer = await store.writer("written", { expected: { size: 50 } });
      await writer.write(sample(20).bytes);
      const found = new Map((await list(store.statuses())).map((status) => [status.ref, status]));
      assert.deepEqual([...found.keys()].toSorted(), ["left", "written"]);
      assert.equal(found.get("left")?.offset, 10);
      assert.equal(found.get("written")?.offset, 20);
      assert.equal(found.get("written")?.total, 50);
      assert.equal((await store.status("written")).offset, 20);
      await writer.close();
    },
  },
  {
    name: "aborting an ingest drops its bytes",
    rows: ["U-LCS.14"],
    needs: [],
    async run({ open }) {
      const store = await open();
      await leave(store, "dropped", sample(1000).bytes);
      await leave(store, "kept", sample(1000).bytes);
      await store.abort("dropped");
      await rejects(store.status("dropped"), "ERR_NOT_FOUND");
      await rejects(store.abort("dropped"), "ERR_NOT_FOUND");
      assert.deepEqual(
        (await list(store.statuses())).map(({ ref }) => ref),
        ["kept"],
      );
      const writer = await store.writer("dropped");
      assert.equal(writer.status().offset, 0);
      await writer.close();
    },
  },
  {
    name: "aborting under a writer makes its next call fail and frees the ref",
    rows: ["U-LCS.14", "D9"],
    needs: [],
    async run({ open }) {
      const store = await open();
      const blob = sample(1000);
      const lost = await store.writer("contested");
      await lost.write(sample(500, 2).bytes);
      await store.abort("contested");
      const next = await store.writer("contested");
      assert.equal(next.status().offset, 0);
      await rejects(lost.write(blob.bytes), "ERR_ABORTED");
      await rejects(lost.truncate(), "ERR_ABORTED");
      await lost.close();
      await rejects(store.writer("contested"), "ERR_UNAVAILABLE");
      await next.write(blob.bytes);
      await next.commit(blob);
      await assertStored(store, blob);
    },
  },
  {
    name: "a writer whose ingest was aborted cannot commit",
    rows: ["U-LCS.14"],
    needs: [],
    async run({ open }) {
      const store = await open();
      const blob = sample(1000);
      const lost = await store.writer("contested");
      await lost.write(blob.bytes);
      await store.abort("contested");
      const next = await store.writer("contested");
      await next.write(blob.bytes.subarray(0, 10));
      await rejects(lost.commit(blob), "ERR_ABORTED");
      await rejects(store.info(blob.digest), "ERR_NOT_FOUND");
      assert.equal(next.status().offset, 10);
      await next.write(blob.bytes.subarray(10));
      await next.commit(blob);
    },
  },
  {
    name: "another instance can abort an ingest under its writer",
    rows: ["U-LCS.14", "D9"],
    needs: ["reopen"],
    async run({ open }) {
      const [one, other] = [await open(), await open()];
      const blob = sample(1000);
      const lost = await one.writer("contested");
      await lost.write(blob.bytes);
      await other.abort("contested");
      await rejects(lost.commit(blob), "ERR_ABORTED");
      await rejects(one.info(blob.digest), "ERR_NOT_FOUND");
      await rejects(one.status("contested"), "ERR_NOT_FOUND");
    },
  },
  {
    name: "a writer whose ingest was aborted by another instance does not free the ref of the next",
    rows: ["D9"],
    needs: ["reopen"],
    async run({ open }) {
      const [one, other] = [await open(), await open()];
      const lost = await one.writer("contested");
      await lost.write(sample(10).bytes);
      await other.abort("contested");
      const next = await other.writer("contested");
      await lost.close();
      await rejects(one.writer("contested"), "ERR_UNAVAILABLE");
      await next.close();
    },
  },
  {
    name: "an aborted signal rejects every call with its own reason",
    rows: ["D13"],
    needs: [],
    async run({ open }) {
      const store = await open();
      const [stored, blob] = [sample(10, 1), sample(10, 2)];
      await storeBlob(store, stored);
      await leave(store, "left", blob.bytes);
      const reason = new Error("enough");
      const signal = AbortSignal.abort(reason);
      const reader = await store.open(stored.descriptor);
      const writer = await store.writer("left");
      const calls: Record<string, () => Promise<unknown>> = {
        open: () => store.open(stored.descriptor, { signal }),
        writer: () => store.writer("other", { signal }),
        status: () => store.status("left", { signal }),
        statuses: () => list(store.statuses({ signal })),
        abort: () => store.abort("left", { signal }),
        info: () => store.info(stored.digest, { signal }),
        walk: () => list(store.walk({ signal })),
        delete: () => store.delete(stored.digest, { signal }),
        read: () => reader.read(new Uint8Array(1), 0, { signal }),
        stream: () => list(reader.stream({ signal })),
        write: () => writer.write(blob.bytes, { signal }),
        commit: () => writer.commit(blob, { signal }),
      };
      for (const [name, call] of Object.entries(calls)) await rejectsWith(call(), reason, name);
      await reader.close();
    },
  },
  {
    name: "what an aborted signal stopped can be done again",
    rows: ["D13", "C05"],
    needs: [],
    async run({ open }) {
      const store = await open();
      const blob = sample(300_000);
      const signal = AbortSignal.abort(new Error("enough"));
      await store.writer("again", { expected: blob, signal }).catch(() => {});
      const first = await store.writer("again", { expected: blob });
      await first.write(blob.bytes.subarray(0, 100_000));
      await first.write(blob.bytes.subarray(100_000), { signal }).catch(() => {});
      assert.equal(first.status().offset, 100_000);
      await first.write(blob.bytes.subarray(100_000));
      await first.commit(blob, { signal }).catch(() => {});
      await rejects(store.info(blob.digest), "ERR_NOT_FOUND");
      const second = await store.writer("again", { expected: blob });
      assert.equal(second.status().offset, blob.size);
      await second.commit(blob);
      await assertStored(store, blob);
    },
  },
];
