import assert from "node:assert/strict";
import type { Expected, Writer } from "@varve/content";
import { digestOf } from "@varve/digest";
import { hasCode } from "@varve/errors";
import type { CaseContext, ContentStoreCase } from "../case.ts";
import { assertMissing, assertStored, leave, list, rejects, sample, store as storeBlob } from "../material.ts";

export const commitCases: readonly ContentStoreCase[] = [
  {
    name: "a commit that expects nothing names the bytes by sha256",
    needs: [],
    async run({ open }) {
      const store = await open();
      const blob = sample(5000);
      const writer = await store.writer("free");
      await writer.write(blob.bytes);
      assert.equal(await writer.commit(), blob.digest);
      await assertStored(store, blob);
    },
  },
  {
    // C-CS.12, U-LCS.11
    name: "a commit of another size fails and keeps the bytes",
    needs: [],
    run: (context) => failedCommit(context, (good) => ({ digest: good.digest, size: 5001 })),
  },
  {
    // C-CS.12, U-LCS.11
    name: "a commit of another digest fails and keeps the bytes",
    needs: [],
    run: (context) => failedCommit(context, () => ({ digest: digestOf("something else"), size: 5000 })),
  },
  {
    name: "a commit is held against what the writer was opened with",
    needs: [],
    async run({ open }) {
      const store = await open();
      const blob = sample(100);
      const promises: Expected[] = [{ digest: digestOf("something else") }, { size: 101 }];
      for (const [index, expected] of promises.entries()) {
        const writer = await store.writer(`promised-${index}`, { expected });
        await writer.write(blob.bytes);
        await rejects(writer.commit(), "ERR_DIGEST_MISMATCH");
        await assertMissing(store, blob);
      }
    },
  },
  {
    // C-CS.3, U-CS.4
    name: "committing what is stored says so and ends the ingest",
    needs: [],
    async run({ open }) {
      const store = await open();
      const blob = sample(5000);
      await storeBlob(store, blob);
      const writer = await store.writer("again");
      await writer.write(blob.bytes);
      await rejects(writer.commit(blob), "ERR_ALREADY_EXISTS");
      await rejects(store.status("again"), "ERR_NOT_FOUND");
      assert.deepEqual(await list(store.statuses()), []);
      await assertStored(store, blob);
    },
  },
  {
    name: "of many commits of one blob at once exactly one succeeds",
    needs: [],
    async run({ open }) {
      const store = await open();
      const blob = sample(70_000);
      const writers: Writer[] = [];
      for (let index = 0; index < 8; index += 1) {
        const writer = await store.writer(`race-${index}`);
        await writer.write(blob.bytes);
        writers.push(writer);
      }
      const outcomes = await Promise.allSettled(writers.map((writer) => writer.commit(blob)));
      assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
      for (const outcome of outcomes) {
        if (outcome.status === "rejected")
          assert.ok(hasCode(outcome.reason, "ERR_ALREADY_EXISTS"), String(outcome.reason));
      }
      await assertStored(store, blob);
    },
  },
  {
    // U-CS.4
    name: "a commit closes the writer whatever comes of it",
    needs: [],
    async run({ open }) {
      const store = await open();
      const blob = sample(10);
      const expectations: Expected[] = [blob, { size: 9 }];
      for (const [index, expected] of expectations.entries()) {
        const writer = await store.writer(`closing-${index}`);
        await writer.write(blob.bytes);
        await writer.commit(expected).catch(() => {});
        await rejects(writer.write(blob.bytes), "ERR_FAILED_PRECONDITION");
        await rejects(writer.truncate(), "ERR_FAILED_PRECONDITION");
        await rejects(writer.commit(), "ERR_FAILED_PRECONDITION");
        await writer.close();
        await writer.close();
      }
    },
  },
  {
    name: "a committed ingest is gone and its ref is free",
    needs: [],
    async run({ open }) {
      const store = await open();
      await storeBlob(store, sample(500), "done");
      await rejects(store.status("done"), "ERR_NOT_FOUND");
      assert.deepEqual(await list(store.statuses()), []);
      const writer = await store.writer("done");
      assert.equal(writer.status().offset, 0);
      await writer.close();
    },
  },
  {
    // C-CS.12
    name: "a truncated and closed ingest is empty and can be used",
    needs: [],
    async run({ open }) {
      const store = await open();
      await leave(store, "emptied", sample(400_000, 2).bytes);
      const truncating = await store.writer("emptied");
      await truncating.truncate();
      assert.equal(truncating.status().offset, 0);
      assert.equal(truncating.digest(), digestOf(""));
      await truncating.close();
      assert.equal((await store.status("emptied")).offset, 0);
      const blob = sample(300_000);
      const writer = await store.writer("emptied");
      assert.equal(writer.status().offset, 0);
      await writer.write(blob.bytes);
      await writer.commit(blob);
      await assertStored(store, blob);
    },
  },
];

async function failedCommit({ open }: CaseContext, wrong: (good: Expected) => Expected): Promise<void> {
  const store = await open();
  const blob = sample(5000);
  const first = await store.writer("failing");
  await first.write(blob.bytes);
  await rejects(first.commit(wrong(blob)), "ERR_DIGEST_MISMATCH");
  await assertMissing(store, blob);
  assert.equal((await store.status("failing")).offset, 5000);
  const second = await store.writer("failing");
  assert.equal(second.status().offset, 5000);
  assert.equal(second.digest(), blob.digest);
  await second.commit(blob);
  await assertStored(store, blob);
}
