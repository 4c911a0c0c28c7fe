import assert from "node:assert/strict";
import type { ContentStoreCase } from "../case.ts";
import {
  assertBytes,
  assertWaits,
  started,
  collect,
  followable,
  leave,
  rejects,
  rejectsWith,
  sample,
  store as storeBlob,
} from "../material.ts";

export const followCases: readonly ContentStoreCase[] = [
  {
    name: "followers get every byte while it is written and end at the commit",
    rows: ["D2"],
    needs: ["follow"],
    async run({ open }) {
      const store = followable(await open());
      const blob = sample(700_000);
      const writer = await store.writer("followed");
      const early = begin(store.follow("followed"));
      for (let offset = 0; offset < 350_000; offset += 7000) {
        await writer.write(blob.bytes.subarray(offset, offset + 7000));
      }
      const late = begin(store.follow("followed"));
      await writer.write(blob.bytes.subarray(350_000));
      const atTheEnd = begin(store.follow("followed"));
      // So that all have begun before the ingest is gone.
      const followers = await Promise.all([early, late, atTheEnd]);
      await writer.commit(blob);
      for (const { all } of followers) assertBytes(await all, blob.bytes);
    },
  },
  {
    name: "a slow follower gets the rest after the commit",
    rows: ["D2"],
    needs: ["follow"],
    async run({ open }) {
      const store = followable(await open());
      const blob = sample(700_000);
      const writer = await store.writer("slow reader");
      await writer.write(blob.bytes.subarray(0, 300_000));
      await writer.write(blob.bytes.subarray(300_000));
      const following = store.follow("slow reader")[Symbol.asyncIterator]();
      const chunks = [(await following.next()).value ?? new Uint8Array()];
      await writer.commit(blob);
      for (let next = await following.next(); next.done !== true; next = await following.next())
        chunks.push(next.value);
      assertBytes(Buffer.concat(chunks), blob.bytes);
    },
  },
  {
    name: "written bytes can be followed without a further call of the writer",
    rows: ["D2"],
    needs: ["follow"],
    async run({ open }) {
      const store = followable(await open());
      const writer = await store.writer("slow");
      const following = store.follow("slow")[Symbol.asyncIterator]();
      for (const seed of [1, 2, 3]) {
        const { bytes } = sample(100, seed);
        const next = started(following.next());
        await writer.write(bytes);
        const { value } = await next;
        assertBytes(value ?? new Uint8Array(), bytes);
      }
      await following.return?.();
      await writer.close();
    },
  },
  {
    name: "a chunk of a follower belongs to it",
    rows: ["D2"],
    needs: ["follow"],
    async run({ open }) {
      const store = followable(await open());
      const blob = sample(100_000);
      await leave(store, "owned", blob.bytes);
      const first = await takeFirst(store.follow("owned"));
      first?.fill(0);
      const again = await begin(store.follow("owned"));
      const writer = await store.writer("owned");
      await writer.commit(blob);
      assertBytes(await again.all, blob.bytes);
    },
  },
  {
    name: "following what is no ingest is not found",
    rows: ["D2"],
    needs: ["follow"],
    async run({ open }) {
      const store = followable(await open());
      await rejects(collect(store.follow("nobody")), "ERR_NOT_FOUND");
      await storeBlob(store, sample(10), "done");
      await rejects(collect(store.follow("done")), "ERR_NOT_FOUND");
    },
  },
  {
    name: "a follower fails when the ingest is aborted",
    rows: ["D2"],
    needs: ["follow"],
    async run({ open }) {
      const store = followable(await open());
      await leave(store, "dropped", sample(100).bytes);
      const following = store.follow("dropped")[Symbol.asyncIterator]();
      assert.equal((await following.next()).done, false);
      const next = started(rejects(following.next(), "ERR_ABORTED"));
      await store.abort("dropped");
      await next;
    },
  },
  {
    name: "a follower fails when the ingest is truncated",
    rows: ["D2"],
    needs: ["follow"],
    async run({ open }) {
      const store = followable(await open());
      const writer = await store.writer("cut");
      await writer.write(sample(100).bytes);
      const following = store.follow("cut")[Symbol.asyncIterator]();
      assert.equal((await following.next()).done, false);
      await writer.truncate();
      // More than before: the length alone must not hide the truncation.
      await writer.write(sample(200, 2).bytes);
      await rejects(following.next(), "ERR_ABORTED");
      await writer.close();
    },
  },
  {
    name: "a follower goes on with the next writer of the ref",
    rows: ["D2", "D10"],
    needs: ["follow"],
    async run({ open }) {
      const store = followable(await open());
      const blob = sample(300_000);
      const first = await store.writer("handed over");
      const following = store.follow("handed over")[Symbol.asyncIterator]();
      await first.write(blob.bytes.subarray(0, 100_000));
      const chunks: Uint8Array[] = [];
      for (let seen = 0; seen < 100_000; seen += chunks.at(-1)?.byteLength ?? 0) {
        const { value, done } = await following.next();
        assert.equal(done, false, "the follower ended while the ingest was written");
        chunks.push(value ?? new Uint8Array());
      }
      const next = started(following.next());
      await first.close();
      await assertWaits(next, "the follower of a closed writer");
      const second = await store.writer("handed over");
      await second.write(blob.bytes.subarray(100_000));
      await second.commit(blob);
      for (let got = await next; got.done !== true; got = await following.next()) chunks.push(got.value);
      assertBytes(Buffer.concat(chunks), blob.bytes);
    },
  },
  {
    name: "a failed commit does not end a follower",
    rows: ["D2"],
    needs: ["follow"],
    async run({ open }) {
      const store = followable(await open());
      const writer = await store.writer("wrong");
      await writer.write(sample(100).bytes);
      const following = store.follow("wrong")[Symbol.asyncIterator]();
      assert.equal((await following.next()).done, false);
      const next = started(rejects(following.next(), "ERR_ABORTED"));
      await rejects(writer.commit({ size: 101 }), "ERR_DIGEST_MISMATCH");
      await assertWaits(next, "the follower of a failed commit");
      await store.abort("wrong");
      await next;
    },
  },
  {
    name: "a follower ends well when the blob turns out to be stored",
    rows: ["D2", "U-CS.4"],
    needs: ["follow"],
    async run({ open }) {
      const store = followable(await open());
      const blob = sample(1000);
      const writer = await store.writer("second");
      await writer.write(blob.bytes);
      const following = store.follow("second")[Symbol.asyncIterator]();
      assert.equal((await following.next()).done, false);
      await storeBlob(store, blob, "first");
      await rejects(writer.commit(blob), "ERR_ALREADY_EXISTS");
      assert.equal((await following.next()).done, true);
    },
  },
  {
    name: "a waiting follower ends with the reason of its signal",
    rows: ["D2"],
    needs: ["follow"],
    async run({ open }) {
      const store = followable(await open());
      await leave(store, "waiting", sample(100).bytes);
      const controller = new AbortController();
      const following = store.follow("waiting", { signal: controller.signal })[Symbol.asyncIterator]();
      await following.next();
      const reason = new Error("enough");
      const next = started(rejectsWith(following.next(), reason, "the waiting follower"));
      controller.abort(reason);
      await next;
    },
  },
  {
    name: "an ingest can be followed in another instance",
    rows: ["D2"],
    needs: ["follow", "reopen"],
    async run({ open }) {
      const [one, other] = [followable(await open()), followable(await open())];
      const blob = sample(300_000);
      const writer = await one.writer("across");
      await writer.write(blob.bytes.subarray(0, 1000));
      const following = other.follow("across")[Symbol.asyncIterator]();
      const chunks = [(await following.next()).value ?? new Uint8Array()];
      await writer.write(blob.bytes.subarray(1000));
      await writer.commit(blob);
      for (let next = await following.next(); next.done !== true; next = await following.next())
        chunks.push(next.value);
      assertBytes(Buffer.concat(chunks), blob.bytes);
    },
  },
];

/** Resolves when the first bytes are there, with what will be all of them. */
function begin(stream: AsyncIterable<Uint8Array>): Promise<{ readonly all: Promise<Uint8Array> }> {
  const iterator = stream[Symbol.asyncIterator]();
  const read = async (first: IteratorResult<Uint8Array>): Promise<Uint8Array> => {
    const chunks: Uint8Array[] = [];
    for (let next = first; next.done !== true; next = await iterator.next()) chunks.push(next.value);
    return Buffer.concat(chunks);
  };
  return started(iterator.next().then((first) => ({ all: started(read(first)) })));
}

async function takeFirst(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array | undefined> {
  for await (const chunk of stream) return chunk;
  return undefined;
}
