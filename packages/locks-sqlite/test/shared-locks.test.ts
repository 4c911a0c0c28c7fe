import { setImmediate } from "node:timers/promises";
import { openSharedLocks } from "@varve/locks-sqlite";
import { expect, test } from "vitest";
import { rowsIn, tempDir } from "./temp.ts";

test("a key has one holder over all who opened the file, and other keys are apart", async () => {
  using temp = tempDir();
  await using one = await openSharedLocks(temp.file);
  await using two = await openSharedLocks(temp.file);
  const held = await one.acquire("a");
  const log: string[] = [];
  const waiting = two.run("a", async () => void log.push("a"));
  await two.run("b", async () => void log.push("b"));
  await one.run("c", async () => void log.push("c"));
  expect(log).toEqual(["b", "c"]);
  held();
  held();
  await waiting;
  expect(log).toEqual(["b", "c", "a"]);
});

test("what is given back leaves no row, nor does what is held when all is closed", async () => {
  using temp = tempDir();
  await using locks = await openSharedLocks(temp.file);
  const releases = await Promise.all(Array.from({ length: 100 }, (_, index) => locks.acquire(`key ${index}`)));
  expect(rowsIn(temp.file)).toHaveLength(100);
  for (const release of releases) release();
  await locks.acquire("behind them");
  expect(rowsIn(temp.file)).toMatchObject([{ key: "behind them" }]);
  await locks.close();
  expect(rowsIn(temp.file)).toEqual([]);
});

// U-SUP.3
test("tasks of one process wait in the order of their calls, and a failing one gives the key back", async () => {
  using temp = tempDir();
  await using locks = await openSharedLocks(temp.file);
  const order: number[] = [];
  const broken = new Error("no");
  const failing = locks.run("a", () => Promise.reject(broken));
  const tasks = [1, 2, 3].map((number) => locks.run("a", async () => (order.push(number), setImmediate())));
  await expect(failing).rejects.toBe(broken);
  await Promise.all(tasks);
  expect(order).toEqual([1, 2, 3]);
});

test("many tasks of several users on few keys never overlap, and all come to their turn", async () => {
  using temp = tempDir();
  const users = await Promise.all([1, 2, 3].map(() => openSharedLocks(temp.file)));
  const inside = new Map<string, number>();
  let most = 0;
  const task = async (index: number): Promise<void> => {
    const key = `k${index % 4}`;
    await users[index % 3]?.run(key, async () => {
      inside.set(key, (inside.get(key) ?? 0) + 1);
      most = Math.max(most, inside.get(key) ?? 0);
      await setImmediate();
      inside.set(key, (inside.get(key) ?? 0) - 1);
    });
  };
  await Promise.all(Array.from({ length: 60 }, (_, index) => task(index)));
  expect(most).toBe(1);
  await Promise.all(users.map((user) => user.close()));
  expect(rowsIn(temp.file)).toEqual([]);
});

test.each(["here", "elsewhere"])(
  "a wait for who holds the key %s ends with the signal's reason, and leaves no trace",
  async (where) => {
    using temp = tempDir();
    await using one = await openSharedLocks(temp.file);
    await using two = await openSharedLocks(temp.file);
    const held = await one.acquire("a");
    const stop = new AbortController();
    const reason = new Error("enough");
    const waits = [1, 2].map(() =>
      (where === "here" ? one : two).acquire("a", {
        signal: stop.signal,
        onWait: () => void setImmediate().then(() => stop.abort(reason)),
      }),
    );
    expect(await Promise.allSettled(waits)).toEqual([1, 2].map(() => ({ status: "rejected", reason })));
    await expect(two.acquire("b", { signal: stop.signal })).rejects.toBe(reason);
    held();
    (await two.acquire("a"))();
    (await two.acquire("b"))();
  },
);

test("tells once who has to wait, and does not tell who need not", async () => {
  using temp = tempDir();
  await using one = await openSharedLocks(temp.file);
  await using two = await openSharedLocks(temp.file);
  const told: string[] = [];
  const held = await one.acquire("a", { onWait: () => told.push("free") });
  const waits: Promise<void>[] = [];
  const tasks = ["first", "second", "third"].map((name) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    waits.push(promise);
    return two.run("a", async () => undefined, { onWait: () => (told.push(name), resolve()) });
  });
  await Promise.all(waits);
  held();
  await Promise.all(tasks);
  expect(told.toSorted()).toEqual(["first", "second", "third"]);
});

test("closing gives back what is held, rejects who waits, and all that comes later", async () => {
  using temp = tempDir();
  const one = await openSharedLocks(temp.file);
  await using two = await openSharedLocks(temp.file);
  const held = await one.acquire("mine");
  const theirs = await two.acquire("theirs");
  const started: Promise<unknown>[] = [];
  const isWaiting = ["mine", "theirs", "theirs"].map((key) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    started.push(one.acquire(key, { onWait: resolve }));
    return promise;
  });
  const ends = Promise.allSettled(started);
  await Promise.all(isWaiting);
  // Asked for, and not yet given.
  const late = Promise.allSettled([one.acquire("late")]);
  await Promise.all([one.close(), one.close()]);
  const closed = { status: "rejected", reason: { code: "ERR_ABORTED", message: `locks ${temp.file}: closed` } };
  expect(await ends).toMatchObject([closed, closed, closed]);
  expect(await late).toMatchObject([closed]);
  await expect(one.acquire("more")).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
  held();
  (await two.acquire("mine"))();
  (await two.acquire("late"))();
  theirs();
  await two.close();
  expect(rowsIn(temp.file)).toEqual([]);
});

test("keys are told apart whatever is in them, and however long they are", async () => {
  using temp = tempDir();
  await using one = await openSharedLocks(temp.file);
  await using two = await openSharedLocks(temp.file);
  const long = "x".repeat(5_000_000);
  const keys = [
    "",
    " ",
    "a",
    "a\0",
    "a\0b",
    "#",
    "#a",
    "\ud800",
    "\udfff",
    "\ufffd",
    "é",
    "e\u0301",
    "'; DROP TABLE locks",
    long,
    `${long}y`,
  ];
  const held = await Promise.all(keys.map((key) => one.acquire(key)));
  expect(held).toHaveLength(keys.length);
  const sizes = rowsIn(temp.file).map(({ key }) => String(key).length);
  expect(sizes).toHaveLength(keys.length);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(200);
  const stop = new AbortController();
  const waits = keys.map((key) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const wait = two.acquire(key, { signal: stop.signal, onWait: resolve }).catch(() => undefined);
    return Promise.race([promise, wait.then(() => Promise.reject(new Error(`${key} was given twice`)))]);
  });
  await Promise.all(waits);
  stop.abort();
});

test("a hash that is given as a key is not taken for the key it is of", async () => {
  using temp = tempDir();
  await using locks = await openSharedLocks(temp.file);
  await using other = await openSharedLocks(temp.file);
  const outer = await locks.acquire("\ud800");
  const row = String(rowsIn(temp.file)[0]?.["key"]);
  const told: string[] = [];
  const stop = new AbortController();
  const onWait = (): void => (told.push("waits"), stop.abort());
  await other.run(row, async () => void told.push("in"), { signal: stop.signal, onWait }).catch(() => undefined);
  expect(told).toEqual(["in"]);
  expect(row).toMatch(/^#[0-9a-f]{64}$/);
  outer();
});

test.each([0, -1, Number.NaN])("a holder cannot be taken for stalled after %d ms", async (stallMs) => {
  using temp = tempDir();
  await expect(openSharedLocks(temp.file, { stallMs })).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
});
