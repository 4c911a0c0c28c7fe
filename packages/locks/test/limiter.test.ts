import { createLimiter } from "@varve/locks";
import type { Release } from "@varve/locks";
import { describe, expect, test } from "vitest";
import { settle } from "./settle.ts";

function giveBack(release: Release): void {
  release();
}

describe("a limiter", () => {
  test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])("of %d places is refused", (size) => {
    expect(() => createLimiter(size)).toThrow(expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" }));
  });

  test("runs as many as it has places, and all in the end", async () => {
    const limiter = createLimiter(3);
    let running = 0;
    let most = 0;
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        limiter.run(async () => {
          running += 1;
          most = Math.max(most, running);
          await settle(1 + (index % 4));
          running -= 1;
          return index;
        }),
      ),
    );
    expect(most).toBe(3);
    expect(results).toEqual(Array.from({ length: 20 }, (_, index) => index));
  });

  test("starts in the order of the calls", async () => {
    const limiter = createLimiter(1);
    const order: number[] = [];
    await Promise.all([1, 2, 3, 4].map((number) => limiter.run(async () => void order.push(number))));
    expect(order).toEqual([1, 2, 3, 4]);
  });

  test("a failing task gives its place back", async () => {
    const limiter = createLimiter(1);
    const broken = new Error("no");
    await expect(limiter.run(() => Promise.reject(broken))).rejects.toBe(broken);
    expect(await limiter.run(async () => "next")).toBe("next");
  });

  test("releasing twice gives back one place", async () => {
    const limiter = createLimiter(1);
    const release = await limiter.acquire();
    release();
    release();
    const held = await limiter.acquire();
    let entered = false;
    const waiting = limiter.acquire().then((next) => ((entered = true), next));
    await settle();
    expect(entered).toBe(false);
    held();
    (await waiting)();
  });

  test("aborting in the middle of the queue loses no place", async () => {
    const limiter = createLimiter(1);
    const held = await limiter.acquire();
    const stops = Array.from({ length: 5 }, () => new AbortController());
    const waits = stops.map((stop) => limiter.acquire({ signal: stop.signal }));
    const outcomes = Promise.allSettled(waits);
    for (const index of [1, 3]) stops[index]?.abort(`left ${index}`);
    held();
    await Promise.all(waits.map((wait) => wait.then(giveBack, () => undefined)));
    expect((await outcomes).map((outcome) => (outcome.status === "rejected" ? outcome.reason : "in"))).toEqual([
      "in",
      "left 1",
      "in",
      "left 3",
      "in",
    ]);
    (await limiter.acquire())();
  });

  test("takes its listeners off a signal that lives on", async () => {
    const limiter = createLimiter(1);
    const stop = new AbortController();
    let listeners = 0;
    const { signal } = stop;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>): void => {
      listeners += 1;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>): void => {
      listeners -= 1;
      remove(...args);
    };
    await Promise.all(Array.from({ length: 5 }, () => limiter.run(() => settle(), { signal })));
    expect(listeners).toBe(0);
  });
});
