import { createRunningCalls } from "@varve/locks";
import { expect, test } from "vitest";
import { settle } from "./settle.ts";

const closed = { code: "ERR_ABORTED", message: "the shop: was closed" };

/** Resolves never, and is rejected with the reason of an abort. */
function forever(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
}

/** Counts for ever, and tells when it is over. */
function counter(onEnd: () => void): (signal: AbortSignal) => AsyncGenerator<number, void, undefined> {
  return async function* count() {
    try {
      for (let next = 1; ; next += 1) yield next;
    } finally {
      await settle();
      onEnd();
    }
  };
}

async function* two(): AsyncGenerator<number, void, undefined> {
  yield* [1, 2];
}

async function* waiting(signal: AbortSignal): AsyncGenerator<number, void, undefined> {
  yield await forever(signal);
}

test("a call gives what its work gives, and nothing is refused or aborted while nobody stops it", async () => {
  const calls = createRunningCalls("the shop");
  await expect(calls.run({}, async (signal) => signal.aborted)).resolves.toBe(false);
  await expect(calls.run({}, () => Promise.reject(new Error("broken")))).rejects.toThrow("broken");
});

test("stopping aborts what runs, waits until it has cleaned up, and refuses what comes then", async () => {
  const calls = createRunningCalls("the shop");
  let isClean = false;
  const running = calls.run({ signal: new AbortController().signal }, async (signal) => {
    try {
      await forever(signal);
    } finally {
      await settle();
      isClean = true;
    }
  });
  running.catch(() => undefined);
  await calls.stop();
  expect(isClean).toBe(true);
  await expect(running).rejects.toMatchObject(closed);
  const refused = { code: "ERR_FAILED_PRECONDITION", message: "the shop: is closed" };
  await expect(calls.run({}, async () => 1)).rejects.toMatchObject(refused);
  const stream = calls.stream(
    {},
    counter(() => undefined),
  );
  await expect(stream.next()).rejects.toMatchObject(refused);
  await calls.stop();
});

test("the caller's signal ends his call alone, with its own reason", async () => {
  const calls = createRunningCalls("the shop");
  const reason = new Error("enough");
  const own = new AbortController();
  const mine = calls.run({ signal: own.signal }, forever);
  let isOver = false;
  const other = calls.run({}, forever).finally(() => (isOver = true));
  own.abort(reason);
  await expect(mine).rejects.toBe(reason);
  await settle();
  expect(isOver).toBe(false);
  await expect(calls.run({ signal: own.signal }, async () => 1)).rejects.toBe(reason);
  other.catch(() => undefined);
  await calls.stop();
  expect(isOver).toBe(true);
});

test("a stream is read to its end, or left, and is no obstacle to a stop then", async () => {
  const calls = createRunningCalls("the shop");
  expect(await Array.fromAsync(calls.stream({}, two))).toEqual([1, 2]);
  let isOver = false;
  for await (const one of calls.stream(
    {},
    counter(() => (isOver = true)),
  ))
    if (one === 3) break;
  expect(isOver).toBe(true);
  await calls.stop();
});

test("stopping ends a stream whose reader is elsewhere, and the reader that comes back is told", async () => {
  const calls = createRunningCalls("the shop");
  let isOver = false;
  const stream = calls.stream(
    {},
    counter(() => (isOver = true)),
  );
  await expect(stream.next()).resolves.toEqual({ done: false, value: 1 });
  await calls.stop();
  expect(isOver).toBe(true);
  await expect(stream.next()).rejects.toMatchObject(closed);
});

test("stopping ends a stream whose reader waits", async () => {
  const calls = createRunningCalls("the shop");
  const next = calls.stream({}, waiting).next();
  next.catch(() => undefined);
  await settle();
  await calls.stop();
  await expect(next).rejects.toMatchObject(closed);
});

test("a stream that cannot be opened is no obstacle to a stop", async () => {
  const calls = createRunningCalls("the shop");
  const stream = calls.stream({}, () => {
    throw new Error("no such thing");
  });
  await expect(stream.next()).rejects.toThrow("no such thing");
  await calls.stop();
});
