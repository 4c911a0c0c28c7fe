import { expect, test, vi } from "vitest";
import { LifeWatch } from "../src/life-watch.ts";

/** Looks at each of these moments, in milliseconds, and says at which the holder counts as stalled. */
function stalledAt(moments: readonly number[], beatAt: (moment: number) => number): readonly number[] {
  const watch = new LifeWatch(3000);
  const clock = vi.spyOn(process.hrtime, "bigint");
  try {
    return moments.filter((moment) => {
      clock.mockReturnValue(BigInt(moment) * 1_000_000n);
      return watch.isStalled("holder", beatAt(moment));
    });
  } finally {
    clock.mockRestore();
  }
}

const everyHalfSecond = Array.from({ length: 12 }, (_, index) => index * 500);

test("a holder counts as stalled when it was watched for long enough without a sign of life", () => {
  expect(stalledAt(everyHalfSecond, () => 7)).toEqual([3000, 3500, 4000, 4500, 5000, 5500]);
});

test("a sign of life begins the wait anew", () => {
  expect(stalledAt(everyHalfSecond, (moment) => (moment < 2000 ? 7 : 8))).toEqual([5000, 5500]);
});

test("an older sign of life, on another key of the same holder, changes nothing", () => {
  expect(stalledAt(everyHalfSecond, (moment) => 7 - (moment % 1000) / 500)).toEqual([
    3000, 3500, 4000, 4500, 5000, 5500,
  ]);
});

// P08
test("the time in which the watching process was stopped itself does not count", () => {
  expect(stalledAt([0, 500, 3_600_000, 3_600_500, 3_601_000, 3_601_500], () => 7)).toEqual([3_601_500]);
});
