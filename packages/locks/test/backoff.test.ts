import { backoffDelays, sleep } from "@varve/locks";
import { describe, expect, test } from "vitest";

function first(count: number, delays: Generator<number, never>): number[] {
  return Array.from({ length: count }, () => delays.next().value);
}

function almostOne(): number {
  return 1 - Number.EPSILON;
}

describe("back-off", () => {
  // S3.4
  test("doubles its bound from 16 to 2048 ms and stays there", () => {
    expect(first(10, backoffDelays({ random: almostOne }))).toEqual([
      15, 31, 63, 127, 255, 511, 1023, 2047, 2047, 2047,
    ]);
  });

  // S3.4: [0, N)
  test("begins at zero and never reaches the bound", () => {
    expect(first(3, backoffDelays({ random: () => 0 }))).toEqual([0, 0, 0]);
    for (const delay of first(1000, backoffDelays())) {
      expect(Number.isInteger(delay) && delay >= 0 && delay < 2048).toBe(true);
    }
  });

  test("takes other bounds", () => {
    expect(first(4, backoffDelays({ first: 100, cap: 250, random: almostOne }))).toEqual([99, 199, 249, 249]);
  });
});

describe("sleep", () => {
  test("ends by itself", async () => {
    await expect(sleep(1)).resolves.toBeUndefined();
    await expect(sleep(1, { signal: new AbortController().signal })).resolves.toBeUndefined();
  });

  test("is cut short by its signal, with the signal's own reason", async () => {
    const stop = new AbortController();
    const reason = new Error("enough");
    const sleeping = sleep(1_000_000, { signal: stop.signal });
    stop.abort(reason);
    await expect(sleeping).rejects.toBe(reason);
  });

  test("does not begin under an aborted signal", async () => {
    await expect(sleep(1_000_000, { signal: AbortSignal.abort("late") })).rejects.toBe("late");
  });

  test("a time longer than timers can take is long, not nothing", async () => {
    const stop = new AbortController();
    let ended = false;
    const sleeping = sleep(2 ** 40, { signal: stop.signal }).finally(() => (ended = true));
    await sleep(20);
    expect(ended).toBe(false);
    stop.abort("enough");
    await expect(sleeping).rejects.toBe("enough");
  });
});
