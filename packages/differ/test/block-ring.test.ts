import { setImmediate } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
// The ring is no part of the package's surface, and it is where threads could lose bytes.
import { BlockRing, createSharedRing } from "../src/block-ring.ts";
import type { SharedRing } from "../src/block-ring.ts";
import { isRingCancelled } from "../src/ring-cancelled.ts";

const source = `
  const { parentPort, workerData } = require("node:worker_threads");
  import(workerData.module).then(({ BlockRing }) => {
    const ring = new BlockRing(workerData.ring);
    const lengths = [];
    const bytes = [];
    try {
      ring.drainSync((block) => {
        lengths.push(block.length);
        bytes.push(...block);
        if (lengths.length === workerData.cancelAfter) ring.cancel();
      });
      parentPort.postMessage({ lengths, bytes });
    } catch (error) {
      parentPort.postMessage({ lengths, bytes, failed: error.name });
    }
  });
`;

interface Drained {
  readonly lengths: number[];
  readonly bytes: number[];
  readonly failed?: string;
}

function drainInThread(ring: SharedRing, cancelAfter = 0): Promise<Drained> {
  const module = new URL("../src/block-ring.ts", import.meta.url).href;
  const worker = new Worker(source, { eval: true, workerData: { module, ring, cancelAfter } });
  return new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
}

test("a ring hands over every byte in order, whatever the sizes that are put", async () => {
  const shared = createSharedRing(3, 16);
  const drained = drainInThread(shared);
  const ring = new BlockRing(shared);
  const expected: number[] = [];
  for (const size of [1, 16, 17, 100, 0, 5, 48]) {
    const bytes = Uint8Array.from({ length: size }, (_, index) => (expected.length + index) % 256);
    expected.push(...bytes);
    await ring.put(bytes);
  }
  ring.end();
  const { bytes, lengths } = await drained;
  expect(bytes).toEqual(expected);
  expect(Math.max(...lengths)).toBeLessThanOrEqual(16);
});

test("a block filled where the ring reserved it arrives without a copy of something else", () => {
  const shared = createSharedRing(2, 8);
  const ring = new BlockRing(shared);
  const block = ring.reserve();
  block.set([1, 2, 3]);
  ring.putSync(block.subarray(0, 3));
  ring.end();
  const taken: number[] = [];
  ring.drainSync((bytes) => taken.push(...bytes));
  expect(taken).toEqual([1, 2, 3]);
});

test("a consumer that cancels wakes a producer that waits for room", async () => {
  const shared = createSharedRing(1, 4);
  const drained = drainInThread(shared, 2);
  const ring = new BlockRing(shared);
  const put = ring.put(new Uint8Array(4000));
  await expect(put).rejects.toSatisfy(isRingCancelled);
  expect((await drained).failed).toBe("RingCancelled");
});

test("a producer that cancels wakes a consumer that waits for bytes", async () => {
  const shared = createSharedRing(1, 4);
  const drained = drainInThread(shared);
  const ring = new BlockRing(shared);
  await ring.put(new Uint8Array(4));
  ring.cancel();
  expect((await drained).failed).toBe("RingCancelled");
});

test("of two consumers each gets every byte, and the producer waits for the slower one", async () => {
  const shared = createSharedRing(2, 4);
  const producer = new BlockRing(shared);
  producer.reset(2);
  let put = 0;
  const putting = async (): Promise<void> => {
    for (const byte of [1, 2, 3, 4, 5]) {
      await producer.put(Uint8Array.of(byte));
      put += 1;
    }
    producer.end();
  };
  const take = (consumer: 0 | 1): Promise<(number | undefined)[]> =>
    Array.fromAsync(new BlockRing(shared, consumer).blocks(), (block) => block[0]);
  const first = Promise.all([putting(), take(0)]);
  // A few turns of the event loop: whatever can go on has gone on.
  for (let turn = 0; turn < 5; turn += 1) await setImmediate();
  expect(put).toBe(2);
  expect(await take(1)).toEqual([1, 2, 3, 4, 5]);
  expect((await first)[1]).toEqual([1, 2, 3, 4, 5]);
});

test("memory that another version of the package has laid out is refused, not waited for", () => {
  const shared = createSharedRing(2, 4);
  new Int32Array(shared.control)[0] = 0;
  expect(() => new BlockRing(shared)).toThrow(expect.objectContaining({ code: "ERR_INTERNAL" }));
});
