import { createCollectScheduler, nextExpiry } from "@varve/metadata";
import type { CollectReport, CollectScheduleOptions, CollectScheduler } from "@varve/metadata";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { deadOwner, hour, inMs, openWorld } from "./gc-world.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance", "Date"] });
});

afterEach(() => {
  vi.useRealTimers();
});

/** A collector whose runs take some time of the clock of the test. */
class Runs {
  /** When each was begun. */
  readonly times: number[] = [];
  failure: Error | undefined;
  readonly collect: CollectScheduleOptions["collect"];
  readonly #start: number = performance.now();

  constructor(durationMs: number) {
    this.collect = async ({ signal }) => {
      this.times.push(performance.now() - this.#start);
      if (durationMs > 0) await sleepOf(durationMs, signal);
      if (this.failure !== undefined) throw this.failure;
      return reportOf(durationMs);
    };
  }
}

function reportOf(durationMs: number): CollectReport {
  return { removed: [], failed: [], kept: 0, bytes: 0, durationMs };
}

function sleepOf(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => reject(signal.reason));
  });
}

function scheduler(runs: Runs, options: Partial<CollectScheduleOptions> = {}): CollectScheduler {
  return createCollectScheduler({ collect: runs.collect, ...options });
}

// C-GC.8 TestStartupDelay
test("the first run is made after the startup delay, and no other while nothing happens", async () => {
  const runs = new Runs(0);
  await using _ = scheduler(runs);
  await vi.advanceTimersByTimeAsync(99);
  expect(runs.times).toEqual([]);
  await vi.advanceTimersByTimeAsync(hour);
  expect(runs.times).toEqual([100]);
});

test("without a startup delay there is no first run", async () => {
  const runs = new Runs(0);
  await using _ = scheduler(runs, { startupDelayMs: 0 });
  await vi.advanceTimersByTimeAsync(hour);
  expect(runs.times).toEqual([]);
});

// C-GC.8 TestPauseThreshold
test("runs take no larger part of the time than they may, whatever happens", async () => {
  const runs = new Runs(10);
  await using schedule = scheduler(runs, { pauseThreshold: 0.1, startupDelayMs: 0, mutationThreshold: 1 });
  for (let time = 0; time < 1000; time += 1) {
    schedule.deleted();
    await vi.advanceTimersByTimeAsync(1);
  }
  expect(runs.times.length).toBe(11);
  expect((runs.times[9] ?? 0) - (runs.times[8] ?? 0)).toBeGreaterThanOrEqual(100);
});

// C-GC.8 TestPauseThreshold: at most 4 runs in 15 ms
test("runs of next to nothing count as 5 ms, and the part of the time is at most a half", async () => {
  const runs = new Runs(0);
  await using schedule = scheduler(runs, { pauseThreshold: 0.9, startupDelayMs: 0, mutationThreshold: 1 });
  for (let time = 0; time < 15; time += 1) {
    schedule.mutated();
    await vi.advanceTimersByTimeAsync(1);
  }
  expect(runs.times).toEqual([0, 5, 10, 15]);
});

// C-GC.8 TestDeletionThreshold
test("so many deletions bring a run about at once", async () => {
  const runs = new Runs(0);
  await using schedule = scheduler(runs, { deletionThreshold: 5, startupDelayMs: 10 });
  await vi.advanceTimersByTimeAsync(10);
  for (let count = 0; count < 4; count += 1) schedule.deleted();
  await vi.advanceTimersByTimeAsync(100);
  expect(runs.times).toEqual([10]);
  schedule.deleted();
  await vi.advanceTimersByTimeAsync(0);
  expect(runs.times).toEqual([10, 110]);
});

test("a single deletion brings a run about as soon as one is allowed", async () => {
  const runs = new Runs(10);
  await using schedule = scheduler(runs, { startupDelayMs: 1 });
  await vi.advanceTimersByTimeAsync(11);
  schedule.deleted();
  await vi.advanceTimersByTimeAsync(489);
  expect(runs.times.length).toBe(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(runs.times.length).toBe(2);
});

test("changes bring a run about only when there are as many as the threshold", async () => {
  const runs = new Runs(0);
  await using schedule = scheduler(runs, { startupDelayMs: 0 });
  for (let count = 0; count < 99; count += 1) schedule.mutated();
  await vi.advanceTimersByTimeAsync(hour);
  expect(runs.times).toEqual([]);
  schedule.mutated();
  await vi.advanceTimersByTimeAsync(0);
  expect(runs.times.length).toBe(1);
});

test("a run that is brought about waits for the delay", async () => {
  const runs = new Runs(0);
  await using schedule = scheduler(runs, { startupDelayMs: 0, scheduleDelayMs: 50 });
  const report = schedule.trigger();
  await vi.advanceTimersByTimeAsync(49);
  expect(runs.times).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(runs.times).toEqual([50]);
  expect((await report).failed).toEqual([]);
});

// C-GC.8 TestTrigger
test("a trigger has a run begin at once, and tells what it did", async () => {
  const runs = new Runs(7);
  await using schedule = scheduler(runs, { startupDelayMs: 0 });
  const reports = Promise.all([schedule.trigger(), schedule.trigger()]);
  await vi.advanceTimersByTimeAsync(7);
  expect((await reports).map(({ durationMs }) => durationMs)).toEqual([7, 7]);
  expect(runs.times).toEqual([0]);
});

test("a trigger during a run has another one begin right after it", async () => {
  const runs = new Runs(10);
  await using schedule = scheduler(runs, { startupDelayMs: 0 });
  const first = schedule.trigger();
  await vi.advanceTimersByTimeAsync(5);
  const second = schedule.trigger();
  await vi.advanceTimersByTimeAsync(5);
  await first;
  await vi.advanceTimersByTimeAsync(20);
  await second;
  expect(runs.times.map((time) => Math.floor(time / 10))).toEqual([0, 1]);
});

test("a run that fails tells those who wait for it, and is made again", async () => {
  const runs = new Runs(0);
  const warned: string[] = [];
  const logger = { warn: (message: string) => void warned.push(message) };
  await using schedule = scheduler(runs, { startupDelayMs: 0, logger });
  runs.failure = new Error("disk");
  const failed = schedule.trigger().catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(0);
  expect(await failed).toBe(runs.failure);
  expect(warned).toEqual(["the collection failed"]);
  runs.failure = undefined;
  await vi.advanceTimersByTimeAsync(hour);
  expect(runs.times).toEqual([0, 1000]);
});

test("closing ends the run at work and rejects those who wait", async () => {
  const runs = new Runs(1000);
  const schedule = scheduler(runs, { startupDelayMs: 0 });
  const atWork = schedule.trigger().catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(1);
  const waiting = schedule.trigger().catch((error: unknown) => error);
  await schedule.close();
  await schedule.close();
  expect(await atWork).toMatchObject({ code: "ERR_ABORTED" });
  expect(await waiting).toMatchObject({ code: "ERR_ABORTED" });
  await expect(schedule.trigger()).rejects.toMatchObject({ code: "ERR_ABORTED" });
  schedule.deleted();
  await vi.advanceTimersByTimeAsync(hour);
  expect(runs.times.length).toBe(1);
});

// G-45
test("an expiry brings a run about by itself, and does so once", async () => {
  const runs = new Runs(0);
  const expiries = [new Date(Date.now() + 30_000), new Date(Date.now() + hour)];
  const next = async (after: Date): Promise<Date | undefined> => expiries.find((expiry) => expiry > after);
  await using _ = scheduler(runs, { startupDelayMs: 0, nextExpiry: next });
  await vi.advanceTimersByTimeAsync(29_999);
  expect(runs.times).toEqual([]);
  await vi.advanceTimersByTimeAsync(10);
  expect(runs.times.length).toBe(1);
  await vi.advanceTimersByTimeAsync(2 * hour);
  expect(runs.times.length).toBe(2);
});

// G-45
test("an expiry that comes with a change is heard of, and one that cannot be told is asked for again", async () => {
  const runs = new Runs(0);
  let expiry: Date | undefined;
  const next = async (): Promise<Date | undefined> => {
    if (expiry === undefined) throw new Error("busy");
    return runs.times.length === 0 ? expiry : undefined;
  };
  await using schedule = scheduler(runs, { startupDelayMs: 0, nextExpiry: next });
  await vi.advanceTimersByTimeAsync(1000);
  expiry = new Date(Date.now() + 20_000);
  schedule.mutated();
  await vi.advanceTimersByTimeAsync(20_002);
  expect(runs.times.length).toBe(1);
});

// G-45, P08
test("the next expiry of a store is that of any lease or image, and a lease without its process is over", async () => {
  vi.useRealTimers();
  await using world = await openWorld();
  world.run("INSERT INTO namespaces VALUES ('default', '{}'), ('other', '{}')");
  expect(await nextExpiry(world.metadata)).toBeUndefined();
  const [soon, later, past] = [inMs(hour), inMs(2 * hour), inMs(-hour)];
  world.image("a", 1, { labels: { "containerd.io/gc.expire": later } });
  expect((await nextExpiry(world.metadata))?.toISOString()).toBe(later);
  world.lease("a", [], { namespace: "other", expiresAt: Date.parse(soon) });
  expect((await nextExpiry(world.metadata))?.toISOString()).toBe(soon);
  world.image("b", 1, { labels: { "containerd.io/gc.expire": past } });
  expect((await nextExpiry(world.metadata))?.toISOString()).toBe(past);
  expect((await nextExpiry(world.metadata, { after: new Date() }))?.toISOString()).toBe(soon);
  world.lease("b", [], { labels: { "dev.varve/lease.owner": deadOwner } });
  const now = await nextExpiry(world.metadata, { after: new Date() });
  expect(now?.getTime()).toBeLessThanOrEqual(Date.now());
});
