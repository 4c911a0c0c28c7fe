import { afterEach, beforeEach, expect, test, vi } from "vitest";
// Nobody but the pool makes one, and only here can its clock be turned.
import { createLimiter } from "@varve/locks";
import { Place } from "../src/place.ts";
import type { Places } from "../src/place.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** One place, and leave to go on without for so many. */
class OnePlace implements Places {
  taken = 0;
  lent = 0;
  readonly #most: number;
  readonly #waiting: (() => void)[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  async acquire(signal?: AbortSignal): Promise<() => void> {
    signal?.throwIfAborted();
    if (this.taken > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.taken += 1;
    return () => {
      this.taken -= 1;
      this.#waiting.shift()?.();
    };
  }

  acquireAgain(signal?: AbortSignal): Promise<() => void> {
    return this.acquire(signal);
  }

  tryLend(): boolean {
    if (this.lent >= this.#most) return false;
    this.lent += 1;
    return true;
  }

  returned(): void {
    this.lent -= 1;
  }
}

/** One place of a real limiter. */
class Limited implements Places {
  readonly #limiter = createLimiter(1);

  acquire(signal?: AbortSignal): Promise<() => void> {
    return this.#limiter.acquire({ signal });
  }

  acquireAgain(signal?: AbortSignal): Promise<() => void> {
    return this.acquire(signal);
  }

  tryLend(): boolean {
    return true;
  }

  returned(): void {}
}

/** So much time in which the layer has nothing to do, and so much in which it has. */
async function live(place: Place, idleMs: number, busyMs: number): Promise<void> {
  const waiting = place.outside(() => new Promise<void>((resolve) => void setTimeout(resolve, idleMs)));
  await vi.advanceTimersByTimeAsync(idleMs);
  await waiting;
  await vi.advanceTimersByTimeAsync(busyMs);
}

test("a layer that waits for its source gives its place to the next, and takes another when bytes flow", async () => {
  const places = new OnePlace(1);
  const slow = await Place.take(places, undefined);
  const bytes = Promise.withResolvers<string>();
  const waiting = slow.outside(() => bytes.promise);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(places).toMatchObject({ taken: 0, lent: 1 });
  const next = await Place.take(places, undefined);
  bytes.resolve("bytes");
  await expect(waiting).resolves.toBe("bytes");
  await vi.advanceTimersByTimeAsync(10_000);
  let isBack = false;
  const back = slow.outside(() => Promise.resolve()).then(() => (isBack = true));
  await vi.advanceTimersByTimeAsync(10_000);
  expect(isBack).toBe(false);
  next.leave();
  await back;
  expect(places).toMatchObject({ taken: 1, lent: 0 });
  slow.leave();
  expect(places.taken).toBe(0);
});

test("a layer whose bytes trickle goes on without a place", async () => {
  const places = new OnePlace(1);
  const place = await Place.take(places, undefined);
  for (let times = 0; times < 20; times += 1) await live(place, 980, 20);
  expect(places).toMatchObject({ taken: 0, lent: 1 });
  for (let times = 0; times < 20; times += 1) await live(place, 20, 980);
  expect(places).toMatchObject({ taken: 1, lent: 0 });
  place.leave();
});

test("no more layers go on without a place than may, and one that ends without is no longer counted", async () => {
  const places = new OnePlace(0);
  const place = await Place.take(places, undefined);
  await live(place, 10_000, 0);
  expect(places).toMatchObject({ taken: 1, lent: 0 });
  place.leave();
  const more = new OnePlace(1);
  const other = await Place.take(more, undefined);
  await live(other, 10_000, 0);
  expect(more).toMatchObject({ taken: 0, lent: 1 });
  other.leave();
  expect(more).toMatchObject({ taken: 0, lent: 0 });
});

test("a layer that ends while it takes its place again leaves none behind", async () => {
  const places = new OnePlace(1);
  const place = await Place.take(places, undefined);
  await live(place, 10_000, 10_000);
  const back = place.outside(() => Promise.resolve());
  // The place is granted, but nobody has been told yet.
  for (let turn = 0; places.taken === 0 && turn < 10; turn += 1) await Promise.resolve();
  place.leave();
  await back.catch(() => undefined);
  expect(places).toMatchObject({ taken: 0, lent: 0 });
});

test("a layer that waits long until it gets its place again takes one, and not another with its next bytes", async () => {
  const places = new OnePlace(1);
  const place = await Place.take(places, undefined);
  await live(place, 10_000, 0);
  const next = await Place.take(places, undefined);
  await live(place, 0, 10_000);
  const back = place.outside(() => Promise.resolve());
  // Several turns pass in which it does nothing, for want of a place.
  await vi.advanceTimersByTimeAsync(10_000);
  next.leave();
  await back;
  expect(places).toMatchObject({ taken: 1, lent: 0 });
  let isThrough = false;
  void place.outside(() => Promise.resolve()).then(() => (isThrough = true));
  await vi.advanceTimersByTimeAsync(1);
  expect(isThrough).toBe(true);
  place.leave();
  expect(places.taken).toBe(0);
});

test("a layer that waits to get its place again counts no more, so that the one that stands still can give it", async () => {
  const places = new OnePlace(1);
  const first = await Place.take(places, undefined);
  await live(first, 10_000, 0);
  const second = await Place.take(places, undefined);
  await live(first, 0, 10_000);
  let isBack = false;
  const back = first.outside(() => Promise.resolve()).then(() => (isBack = true));
  await vi.advanceTimersByTimeAsync(0);
  expect(isBack).toBe(false);
  const bytes = Promise.withResolvers<void>();
  const stalled = second.outside(() => bytes.promise);
  await vi.advanceTimersByTimeAsync(10_000);
  await back;
  expect(places).toMatchObject({ taken: 1, lent: 1 });
  bytes.resolve();
  await stalled;
  first.leave();
  second.leave();
  expect(places).toMatchObject({ taken: 0, lent: 0 });
});

test("an abort ends the wait for the place with its reason", async () => {
  const places = new Limited();
  const abort = new AbortController();
  const place = await Place.take(places, abort.signal);
  await live(place, 10_000, 0);
  const other = await Place.take(places, undefined);
  await live(place, 0, 10_000);
  const reason = new Error("enough");
  const back = place.outside(() => Promise.resolve());
  abort.abort(reason);
  await expect(back).rejects.toBe(reason);
  place.leave();
  other.leave();
});
