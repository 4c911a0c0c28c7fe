import { join } from "node:path";
import { openSharedLocks } from "@varve/locks-sqlite";
import type { SharedLocks } from "@varve/locks-sqlite";
import type { Release } from "@varve/locks";
import { expect, test } from "vitest";
import { start } from "./child-process.ts";
import { rowsIn, tempDir } from "./temp.ts";

interface Wait {
  /** Resolves when it is known that somebody else has the key. */
  readonly waits: Promise<void>;
  readonly held: Promise<Release>;
}

function wish(locks: SharedLocks, key: string): Wait {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { waits: promise, held: locks.acquire(key, { onWait: resolve }) };
}

// D9: no time-out is waited for, which the limit of the test would not allow
test("the keys of a killed process are free at once", async () => {
  using temp = tempDir();
  await using locks = await openSharedLocks(temp.file, { stallMs: 3_600_000 });
  await using child = start(temp.file, "hold", "30000", "a", "b");
  await child.line();
  const { waits, held } = wish(locks, "a");
  await waits;
  await child.kill();
  (await held)();
  (await locks.acquire("b"))();
  await locks.close();
  expect(rowsIn(temp.file)).toEqual([]);
});

test("what killed processes have left is gone when the file is opened, and what others hold is not", async () => {
  using temp = tempDir();
  await using living = start(temp.file, "hold", "30000", "living");
  await living.line();
  for (const key of ["dead 1", "dead 2"]) {
    await using child = start(temp.file, "hold", "30000", key);
    await child.line();
    await child.kill();
  }
  // The second has removed what the first had left.
  expect(rowsIn(temp.file)).toHaveLength(2);
  await using locks = await openSharedLocks(temp.file);
  expect(rowsIn(temp.file)).toMatchObject([{ key: "living" }]);
  const { waits, held } = wish(locks, "living");
  await waits;
  living.poke();
  (await held)();
});

test("a process that lives keeps its keys however long it works", async () => {
  using temp = tempDir();
  await using child = start(temp.file, "hold", "600", "a");
  await child.line();
  const before = rowsIn(temp.file)[0]?.["beat"];
  await using locks = await openSharedLocks(temp.file, { stallMs: 3000 });
  const { waits, held } = wish(locks, "a");
  await waits;
  let isHeld = false;
  const taken = held.then((release) => ((isHeld = true), release));
  // It gives signs of life for longer than the wait for one.
  const until = performance.now() + 4000;
  while (performance.now() < until) await locks.run("another", async () => undefined);
  expect(isHeld).toBe(false);
  expect(Number(rowsIn(temp.file)[0]?.["beat"])).toBeGreaterThan(Number(before));
  child.poke();
  (await taken)();
});

test("all keys of a stopped process are taken over after one wait, and it takes none of them back when it goes on", async () => {
  using temp = tempDir();
  const keys = Array.from({ length: 20 }, (_, index) => `layer ${index}`);
  await using child = start(temp.file, "hold", "30000", ...keys);
  await child.line();
  await using locks = await openSharedLocks(temp.file, { stallMs: 3000 });
  child.signal("SIGSTOP");
  const startedAt = performance.now();
  const releases: Release[] = [];
  // One after the other, as the layers of a chain: the limit of the test allows for one wait, not for twenty.
  for (const key of keys) releases.push(await locks.acquire(key));
  expect(performance.now() - startedAt).toBeGreaterThan(2900);
  child.signal("SIGCONT");
  child.poke();
  expect(await child.line()).toBe("released");
  child.poke();
  expect(await child.ended).toBe(0);
  expect(rowsIn(temp.file).map(({ key }) => key)).toEqual(keys.toSorted());
  await using third = await openSharedLocks(temp.file);
  const { waits, held } = wish(third, "layer 0");
  await waits;
  for (const release of releases) release();
  (await held)();
}, 50_000);

// C02
test("processes that are killed at random never let two into one place, and the others go on", async () => {
  using temp = tempDir();
  const marker = join(temp.path, "somebody is in here");
  for (let killed = 0; killed < 8; killed += 1) {
    const children = [1, 2, 3].map(() => start(temp.file, "rounds", marker, "60"));
    try {
      await Promise.all(children.map((child) => child.line()));
      const [victim, ...others] = children;
      setTimeout(() => victim?.process.kill("SIGKILL"), Math.random() * 60);
      // Fails in the child if another is in there.
      expect(await Promise.all(others.map(({ ended }) => ended))).toEqual([0, 0]);
    } finally {
      await Promise.all(children.map((child) => child.kill()));
    }
  }
});
