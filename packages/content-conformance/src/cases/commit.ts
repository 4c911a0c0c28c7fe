import assert from "node:assert/strict";
import type { Expected, Writer } from "@varve/content";
import { digestOf } from "@varve/digest";
import { hasCode } from "@varve/errors";
import type { CaseContext, ContentStoreCase } from "../case.ts";
import { assertMissing, assertStored, leave, list, rejects, sample, store as storeBlob } from "../material.ts";

export const commitCases: readonly ContentStoreCase[] = [
  {
    name: "a commit that expects nothing names the bytes by sha256",
    rows: ["U-CS.4"],
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
    name: "a commit of another size fails and keeps the bytes",
    rows: ["C-CS.12", "U-LCS.11"],
    needs: [],
    run: (context) => failedCommit(context, (good) => ({ digest: good.digest, size: 5001 })),
  },
  {
    name: "a commit of another digest fails and keeps the bytes",
    rows: ["C-CS.12", "U-LCS.11"],
    needs: [],
    run: (context) => failedCommit(context, () => ({ digest: digestOf("something else"), size: 5000 })),
  },
  {
    name: "a commit is held against what the writer was opened with",
    rows: ["U-CS.4"],
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
    name: "committing what is stored says so and ends the ingest",
    rows: ["C-CS.3", "C-CS.12", "C-LCS.3", "U-CS.4"],
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
    rows: ["C-CS.3", "D10"],
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
    name: "a commit closes the writer whatever comes of it",
    rows: ["C-CS.12", "U-CS.4"],
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
    rows: ["C-LCS.3", "U-LCS.10"],
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
    name: "a truncated and closed ingest is empty and can be used",
    rows: ["C-CS.12", "U-LCS.12"],
    needs: [],
    async run({ open }) {
      const store = await open();
      await leave(store, "emptied", sample(400_000, 2).bytes);
      const truncating = await store.writer("emptied");
      await truncating.truncate();
      assert.equal(truncating.status().offset, 0);
      assert.equal(await truncating.digest(), digestOf(""));
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
  assert.equal(await second.digest(), blob.digest);
  await second.commit(blob);
  await assertStored(store, blob);
}
