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

  test("gives waiting groups places in turn, whoever of them has more to do, and keeps the order within each", async () => {
    const limiter = createLimiter(1);
    const held = await limiter.acquire();
    const order: string[] = [];
    const start = (group: string | undefined, count: number): Promise<void>[] =>
      Array.from({ length: count }, (_, index) =>
        limiter.run(async () => void order.push(`${group} ${index}`), group === undefined ? {} : { group }),
      );
    const tasks = [start("a", 4), start(undefined, 2), start("b", 1), start("c", 3)].flat();
    held();
    await Promise.all(tasks);
    const rounds = [["a 0", "undefined 0", "b 0", "c 0"], ["a 1", "undefined 1", "c 1"], ["a 2", "c 2"], ["a 3"]];
    expect(order).toEqual(rounds.flat());
  });

  test("a group that asks again and again lets every other have its turn in between", async () => {
    const limiter = createLimiter(2);
    const busy = {};
    const order: string[] = [];
    let left = 50;
    const again = async (): Promise<void> => {
      for (; left > 0; left -= 1) await limiter.run(async () => (order.push("busy"), settle()), { group: busy });
    };
    const greedy = Promise.all(Array.from({ length: 10 }, again));
    await settle(2);
    const before = order.length;
    await limiter.run(async () => void order.push("small"), { group: "small" });
    // One of its tasks may be ahead already, and each place may have been given once more.
    expect(order.indexOf("small")).toBeLessThanOrEqual(before + 2);
    await greedy;
    expect(order).toHaveLength(60);
  });

  test("a group whose tasks have all left takes up no turn and no place", async () => {
    const limiter = createLimiter(1);
    const held = await limiter.acquire();
    const stop = new AbortController();
    const order: string[] = [];
    const gone = Promise.allSettled(["a", "a", "b"].map((group) => limiter.acquire({ group, signal: stop.signal })));
    const stays = limiter.run(async () => void order.push("b stays"), { group: "b" });
    const last = limiter.run(async () => void order.push("c"), { group: "c" });
    stop.abort("left");
    expect(await gone).toEqual(Array.from({ length: 3 }, () => ({ status: "rejected", reason: "left" })));
    held();
    await Promise.all([stays, last]);
    expect(order).toEqual(["b stays", "c"]);
    (await limiter.acquire())();
  });

  test("tells who has to wait, and nobody else", async () => {
    const limiter = createLimiter(1);
    const told: string[] = [];
    const held = await limiter.acquire({ onWait: () => told.push("first") });
    const waiting = limiter.acquire({ onWait: () => told.push("second") });
    expect(told).toEqual(["second"]);
    held();
    (await waiting)();
    (await limiter.acquire({ onWait: () => told.push("third") }))();
    expect(told).toEqual(["second"]);
  });
});
