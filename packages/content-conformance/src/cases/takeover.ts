import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { ContentStore, Writer } from "@varve/content";
import { digestOf } from "@varve/digest";
import { hasCode } from "@varve/errors";
import type { ContentStoreCase } from "../case.ts";
import { assertBytes, assertStored, collect, followable, rejects, sample, started } from "../material.ts";

/** Soon enough for a test that waits for it. */
const soonMs = 50;
/** Later than a slow machine needs between two calls. */
const laterMs = 400;
const patienceMs = 30_000;

export const takeoverCases: readonly ContentStoreCase[] = [
  {
    name: "a writer without progress loses its ref to the next, who goes on with its bytes",
    rows: ["G-3", "D9", "U-LCS.7"],
    needs: ["takeover"],
    async run({ open }) {
      const store = await open({ stallMs: soonMs });
      const blob = sample(300_000);
      const stuck = await store.writer("stuck", { expected: blob });
      await stuck.write(blob.bytes.subarray(0, 100_000));
      const next = await takeOver(store, "stuck");
      assert.equal(next.status().offset, 100_000);
      assert.equal(await next.digest(), digestOf(blob.bytes.subarray(0, 100_000)));
      await next.write(blob.bytes.subarray(100_000));
      await next.commit(blob);
      await assertStored(store, blob);
      await stuck.close();
    },
  },
  {
    name: "who lost the ref fails at the next call and cannot harm who has it now",
    rows: ["G-3", "D9"],
    needs: ["takeover"],
    async run({ open }) {
      const store = await open({ stallMs: soonMs });
      const blob = sample(1000);
      for (const call of ["write", "truncate", "commit", "close"] as const) {
        const stuck = await store.writer(call);
        await stuck.write(blob.bytes);
        const next = await takeOver(store, call);
        if (call === "write") await rejects(stuck.write(sample(10, 2).bytes), "ERR_ABORTED");
        if (call === "truncate") await rejects(stuck.truncate(), "ERR_ABORTED");
        if (call === "commit") await rejects(stuck.commit(blob), "ERR_ABORTED");
        await stuck.close();
        await rejects(store.info(blob.digest), "ERR_NOT_FOUND");
        assert.equal((await store.status(call)).offset, 1000, call);
        await next.write(sample(1, 3).bytes);
        assert.equal(next.status().offset, 1001);
        await next.close();
      }
    },
  },
  {
    name: "closing a writer that lost its ref does not free the ref of the next",
    rows: ["G-3", "D9"],
    needs: ["takeover"],
    async run({ open }) {
      const store = await open({ stallMs: laterMs });
      const stuck = await store.writer("stuck");
      await stuck.write(sample(10).bytes);
      const next = await takeOver(store, "stuck");
      const since = performance.now();
      await next.write(sample(10, 2).bytes);
      await stuck.close();
      await assertHeld(store, "stuck", since);
      await next.close();
    },
  },
  {
    name: "a writer that makes progress is not robbed, however long it takes",
    rows: ["G-2", "G-3"],
    needs: ["takeover"],
    async run({ open }) {
      const store = await open({ stallMs: laterMs });
      const writer = await store.writer("slow");
      const begun = performance.now();
      while (performance.now() - begun < 3 * laterMs) {
        const since = performance.now();
        await writer.write(sample(10).bytes);
        // On a machine so busy that a write and a look take longer than the time allowed there is nothing to see.
        if (!(await assertHeld(store, "slow", since))) return;
        await sleep(laterMs / 20);
      }
      await writer.close();
    },
  },
  {
    name: "of many who take over a ref at once exactly one gets it",
    rows: ["G-3", "D9"],
    needs: ["takeover"],
    async run({ open }) {
      const store = await open({ stallMs: laterMs });
      await store.writer("wanted");
      const until = performance.now() + patienceMs;
      for (;;) {
        assert.ok(performance.now() < until, "nobody could take the ref over");
        await sleep(laterMs / 10);
        const since = performance.now();
        const attempts = Array.from({ length: 8 }, () => store.writer("wanted"));
        const outcomes = await Promise.allSettled(attempts);
        const won = outcomes.filter(({ status }) => status === "fulfilled").length;
        if (won === 0) continue;
        if (performance.now() - since < laterMs) assert.equal(won, 1);
        return;
      }
    },
  },
  {
    name: "followers do not notice that a writer was replaced",
    rows: ["D2", "G-3"],
    needs: ["follow", "takeover"],
    async run({ open }) {
      const store = followable(await open({ stallMs: soonMs }));
      const blob = sample(300_000);
      const stuck = await store.writer("followed");
      await stuck.write(blob.bytes.subarray(0, 100_000));
      const following = started(collect(store.follow("followed")));
      const next = await takeOver(store, "followed");
      const late = store.follow("followed")[Symbol.asyncIterator]();
      const chunks = [(await late.next()).value ?? new Uint8Array()];
      await rejects(stuck.write(blob.bytes.subarray(100_000)), "ERR_ABORTED");
      await next.write(blob.bytes.subarray(100_000));
      await next.commit(blob);
      assertBytes(await following, blob.bytes, "a follower from before");
      for (let got = await late.next(); got.done !== true; got = await late.next()) chunks.push(got.value);
      assertBytes(Buffer.concat(chunks), blob.bytes, "a follower from after");
    },
  },
  {
    name: "another instance can take a ref over",
    rows: ["G-3", "D9"],
    needs: ["reopen", "takeover"],
    async run({ open }) {
      const [one, other] = [await open({ stallMs: soonMs }), await open({ stallMs: soonMs })];
      const blob = sample(1000);
      const stuck = await one.writer("stuck");
      await stuck.write(blob.bytes.subarray(0, 500));
      const next = await takeOver(other, "stuck");
      await next.write(blob.bytes.subarray(500));
      await rejects(stuck.commit(blob), "ERR_ABORTED");
      await next.commit(blob);
      await assertStored(one, blob);
    },
  },
];

async function takeOver(store: ContentStore, ref: string): Promise<Writer> {
  for (const until = performance.now() + patienceMs; ; await sleep(soonMs / 5)) {
    try {
      return await store.writer(ref);
    } catch (error) {
      assert.ok(hasCode(error, "ERR_UNAVAILABLE"), String(error));
      assert.ok(performance.now() < until, `${ref} could not be taken over`);
    }
  }
}

/** The ref is held, unless it is longer than `laterMs` ago that its writer did something: false then. */
async function assertHeld(store: ContentStore, ref: string, since: number): Promise<boolean> {
  try {
    const writer = await store.writer(ref);
    await writer.close();
  } catch (error) {
    assert.ok(hasCode(error, "ERR_UNAVAILABLE"), String(error));
    return true;
  }
  assert.ok(performance.now() - since >= laterMs, `${ref} was taken over too soon`);
  return false;
}
