import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createKeyedLock } from "@varve/locks";
import { describe, expect, test } from "vitest";
import { settle } from "./settle.ts";

describe("a keyed lock", () => {
  test("lets one in for each key, and keys are apart", async () => {
    const lock = createKeyedLock();
    const log: string[] = [];
    const first = await lock.acquire("a");
    const second = lock.acquire("a").then((release) => (log.push("second a"), release));
    const other = await lock.acquire("b");
    log.push("b");
    await settle();
    expect(log).toEqual(["b"]);
    first();
    (await second)();
    other();
    expect(log).toEqual(["b", "second a"]);
  });

  // U-SUP.3: fair enough that all waiters finish
  test("serves in the order of the calls, also one that comes at the moment of a release", async () => {
    const lock = createKeyedLock();
    const order: number[] = [];
    const release = await lock.acquire("a");
    const waiting = [1, 2, 3].map((number) => lock.run("a", async () => void order.push(number)));
    release();
    const late = lock.run("a", async () => void order.push(4));
    await Promise.all([...waiting, late]);
    expect(order).toEqual([1, 2, 3, 4]);
  });

  // U-SUP.3: moby panics here; the brief allows either, and a release in a `finally` may follow an explicit one
  test("releasing twice does nothing, also when somebody else holds the key by then", async () => {
    const lock = createKeyedLock();
    const first = await lock.acquire("a");
    first();
    const second = await lock.acquire("a");
    first();
    let third = false;
    const waiting = lock.acquire("a").then((release) => ((third = true), release));
    await settle();
    expect(third).toBe(false);
    second();
    (await waiting)();
  });

  test("releasing twice does not let the next but one in beside the next", async () => {
    const lock = createKeyedLock();
    const first = await lock.acquire("a");
    const second = lock.acquire("a");
    first();
    first();
    const release = await second;
    let third = false;
    const waiting = lock.acquire("a").then((next) => ((third = true), next));
    await settle();
    expect(third).toBe(false);
    release();
    (await waiting)();
  });

  test("gives back what the body gives, and releases when it throws", async () => {
    const lock = createKeyedLock();
    expect(await lock.run("a", async () => 7)).toBe(7);
    const broken = new Error("no");
    await expect(lock.run("a", () => Promise.reject(broken))).rejects.toBe(broken);
    await expect(
      lock.run("a", () => {
        throw broken;
      }),
    ).rejects.toBe(broken);
    expect(await lock.run("a", async () => 8)).toBe(8);
  });

  test("aborting a wait rejects with the reason and leaves the queue as if it had not come", async () => {
    const lock = createKeyedLock();
    const release = await lock.acquire("a");
    const stop = new AbortController();
    const order: string[] = [];
    const given = lock.run("a", async () => void order.push("given up"), { signal: stop.signal });
    const next = lock.run("a", async () => void order.push("next"));
    stop.abort("enough");
    await expect(given).rejects.toBe("enough");
    release();
    await next;
    expect(order).toEqual(["next"]);
  });

  test("a signal that is aborted already gets nothing, even if the key is free", async () => {
    const lock = createKeyedLock();
    await expect(lock.acquire("a", { signal: AbortSignal.abort("late") })).rejects.toBe("late");
    (await lock.acquire("a"))();
  });

  test("aborting after the lock was given changes nothing", async () => {
    const lock = createKeyedLock();
    const stop = new AbortController();
    const release = await lock.acquire("a", { signal: stop.signal });
    stop.abort();
    let entered = false;
    const waiting = lock.run("a", async () => void (entered = true));
    await settle();
    expect(entered).toBe(false);
    release();
    await waiting;
  });

  // U-SUP.3: an entry is removed when unused. Seen from outside: many keys leave no memory behind.
  test("forgets keys that nobody uses", async () => {
    setFlagsFromString("--expose-gc");
    const collect: unknown = runInNewContext("gc");
    if (typeof collect !== "function") throw new Error("unreachable");
    const lock = createKeyedLock();
    const before = process.memoryUsage().heapUsed;
    for (let index = 0; index < 20_000; index += 1) {
      // Through a buffer, or the keys would share most of their memory.
      const key = Buffer.alloc(2000, `${index} `).toString("latin1");
      // oxlint-disable-next-line no-await-in-loop -- one after the other is the case
      const release = await lock.acquire(key);
      release();
      // oxlint-disable-next-line no-await-in-loop -- as above
      await lock.acquire(key, { signal: AbortSignal.abort() }).catch(() => undefined);
    }
    collect();
    // The keys alone are 40 MB.
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(20_000_000);
    (await lock.acquire("still works"))();
  });

  test("many tasks on few keys never overlap", async () => {
    const lock = createKeyedLock();
    const inside = new Map<string, number>();
    let most = 0;
    const task = async (index: number): Promise<void> => {
      const key = `k${index % 3}`;
      await lock.run(key, async () => {
        inside.set(key, (inside.get(key) ?? 0) + 1);
        most = Math.max(most, inside.get(key) ?? 0);
        await settle(index % 3);
        inside.set(key, (inside.get(key) ?? 0) - 1);
      });
    };
    await Promise.all(Array.from({ length: 60 }, (_, index) => task(index)));
    expect(most).toBe(1);
  });
});
