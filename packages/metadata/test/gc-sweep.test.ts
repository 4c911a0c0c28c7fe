import { setImmediate } from "node:timers/promises";
import { currentOwner } from "@varve/locks";
import { CodedError } from "@varve/errors";
import { expect, test } from "vitest";
import { d, deadOwner, hour, openWorld, textOf } from "./gc-world.ts";
import type { World } from "./gc-world.ts";

const ref = (type: string): string => `containerd.io/gc.ref.${type}`;

/** A store with something of everything that goes, and one of each that stays. */
function fill(world: World): void {
  world.image("kept", 1);
  world.blob(1, { labels: { [ref("snapshot.overlay")]: "kept" } });
  world.snapshot("kept");
  world.ingest("kept");
  for (const number of [2, 3, 4]) world.blob(number);
  world.content.blobs.set(d(5), 100);
  world.snapshot("bottom");
  world.snapshot("top", { parent: "bottom" });
  world.snapshot("other", { snapshotter: "btrfs" });
  world.ingest("old", { updatedAt: Date.now() - 48 * hour });
  world.ingest("orphan", { recorded: false });
  world.lease("dead", ["content 2", "snapshot overlay/top"], { labels: { "dev.varve/lease.owner": deadOwner } });
}

function expectKept(world: World): void {
  expect(world.records()).toEqual(["content 1", "image kept", "ingest kept", "snapshot overlay/kept"]);
  expect(world.stored()).toEqual(["1", "default/kept"]);
  expect([...world.overlay.entries.keys()]).toEqual(["default/1/kept"]);
  expect([...world.btrfs.entries.keys()]).toEqual([]);
  expect(world.sql.prepare("SELECT * FROM removals").all()).toEqual([]);
}

// U-GC.4, C-GC.3, C07
test("what has no record any more is removed below, and the report adds it up", async () => {
  await using world = await openWorld();
  fill(world);
  const { removed, failed, kept, bytes } = await world.metadata.collect();
  expectKept(world);
  expect(failed).toEqual([]);
  expect(kept).toBe(4);
  expect(bytes).toBe(4 * 100 + 2 * 10 + 3 * 1000);
  const told = removed.map((item) => `${textOf(item)}: ${item.bytes}: ${item.reason.replace(/ 20.*Z/, "")}`);
  expect(told.toSorted()).toEqual([
    " content 5: 100: it has no record",
    `content 2: 100: lease dead outlived its process ${deadOwner}`,
    "content 3: 100: nothing refers to it",
    "content 4: 100: nothing refers to it",
    "ingest old: 10: was last written, too long ago",
    "ingest orphan: 10: it has no record",
    `lease dead: 0: outlived its process ${deadOwner}`,
    "snapshot btrfs/other: 1000: nothing refers to it",
    `snapshot overlay/bottom: 1000: lease dead outlived its process ${deadOwner}`,
    `snapshot overlay/top: 1000: lease dead outlived its process ${deadOwner}`,
  ]);
  expect(world.overlay.removed).toEqual(["default/3/top", "default/2/bottom"]);
  expect([world.overlay.cleanups, world.btrfs.cleanups]).toEqual([1, 1]);
});

test("a dry run tells exactly what a run then does, and does nothing", async () => {
  await using world = await openWorld();
  fill(world);
  const before = [world.records(), world.stored(), world.overlay.entries.size];
  const would = await world.metadata.collect({ dryRun: true });
  expect([world.records(), world.stored(), world.overlay.entries.size]).toEqual(before);
  expect(world.overlay.cleanups).toBe(0);
  const does = await world.metadata.collect();
  expect(would.removed).toEqual(does.removed);
  expect([would.bytes, would.kept]).toEqual([does.bytes, does.kept]);
});

// K16: after mark, and between any two deletions
test("a run that is killed before or after any step leaves what the next one ends", async () => {
  let steps = 0;
  for (let end = ""; end !== "done";) {
    steps += 1;
    const step = steps;
    await using world = await openWorld();
    fill(world);
    const stopped = Promise.withResolvers<string>();
    let count = 0;
    const hook = async (): Promise<void> => {
      count += 1;
      if (count < step) return;
      stopped.resolve("killed");
      await new Promise(() => {});
    };
    const parts = [world.content, world.overlay, world.btrfs];
    for (const part of parts) part.hook = hook;
    const killed = await world.open();
    end = await Promise.race([killed.collect().then(() => "done"), stopped.promise]);
    await killed.close();
    world.run("UPDATE removals SET owner = ?", deadOwner);
    for (const part of parts) part.hook = () => {};
    expect((await world.metadata.collect()).failed).toEqual([]);
    expectKept(world);
  }
  expect(steps).toBeGreaterThan(20);
});

// G-42
test("what cannot be removed is told once, stops nothing else, and is tried again", async () => {
  await using world = await openWorld();
  fill(world);
  const failure = Object.assign(new Error("input/output error"), { code: "EIO" });
  const refuse = (call: string, id: string): void => {
    if (call === "cleanup" || (["default/3/top", d(3), "default/old"].includes(id) && /delete|remove|abort/.test(call)))
      throw failure;
  };
  for (const part of [world.content, world.overlay]) part.hook = refuse;
  const first = await world.metadata.collect();
  expect(first.failed.map(({ item, error }) => `${textOf(item)} ${(error as Error).message}`).toSorted()).toEqual([
    " snapshot overlay/ input/output error",
    "content 3 input/output error",
    "ingest old input/output error",
    "snapshot overlay/top input/output error",
  ]);
  expect(world.stored()).toEqual(["1", "3", "default/kept", "default/old"]);
  expect([...world.overlay.entries.keys()]).toEqual(["default/1/kept", "default/2/bottom", "default/3/top"]);
  expect(first.removed.map(textOf)).toContain("snapshot overlay/bottom");
  expect(first.bytes).toBe(3 * 100 + 10 + 1000);
  for (const part of [world.content, world.overlay]) part.hook = () => {};
  const second = await world.metadata.collect();
  expect(second.removed.map(textOf).toSorted()).toEqual([
    " content 3",
    "ingest old",
    "snapshot overlay/bottom",
    "snapshot overlay/top",
  ]);
  expectKept(world);
});

// G-42
test("a snapshotter that cannot be opened is told, and the rest is collected", async () => {
  await using world = await openWorld();
  fill(world);
  world.btrfs.hook = () => {
    throw new CodedError("ERR_UNAVAILABLE", "btrfs: not mounted");
  };
  const { failed } = await world.metadata.collect();
  expect(failed.map(({ item }) => textOf(item))).toEqual([" snapshot btrfs/"]);
  expect(world.stored()).toEqual(["1", "default/kept"]);
  expect(world.overlay.entries.size).toBe(1);
  expect(world.btrfs.entries.size).toBe(1);
  world.btrfs.hook = () => {};
  await world.metadata.collect();
  expectKept(world);
});

// G-42, U-MD.17
test("a snapshot below whose parent is not there is collected all the same", async () => {
  await using world = await openWorld();
  world.overlay.add("default/7/child", "default/6/gone");
  world.overlay.add("default/8/grandchild", "default/7/child");
  world.overlay.add("not of ours");
  const { removed } = await world.metadata.collect();
  expect(removed.map(textOf).toSorted()).toEqual([
    " snapshot overlay/not of ours",
    "snapshot overlay/child",
    "snapshot overlay/grandchild",
  ]);
  expect(world.overlay.entries.size).toBe(0);
});

test("what a kept snapshot stands on below is kept, whatever the records say", async () => {
  await using world = await openWorld();
  world.overlay.add("base");
  const key = world.snapshot("a", { labels: { "containerd.io/gc.root": "" } });
  world.overlay.add(key, "base");
  expect(await world.metadata.collect()).toMatchObject({ removed: [], failed: [] });
});

test("a blob that two namespaces have goes with the last record, and its bytes count once", async () => {
  await using world = await openWorld();
  world.blob(1);
  world.blob(1, { namespace: "other" });
  world.blob(2);
  world.blob(2, { namespace: "other", labels: { "containerd.io/gc.root": "" } });
  const { removed, bytes } = await world.metadata.collect();
  expect(removed.map((item) => `${textOf(item)} ${item.bytes}`).toSorted()).toEqual([
    "content 1 100",
    "content 2 0",
    "other content 1 0",
  ]);
  expect(bytes).toBe(100);
  expect(world.stored()).toEqual(["2"]);
});

test("a record whose blob is missing below goes like any other", async () => {
  await using world = await openWorld();
  world.blob(1, { stored: false });
  const { removed, bytes } = await world.metadata.collect();
  expect([removed.map(textOf), bytes]).toEqual([["content 1"], 0]);
});

// G-44
test("what comes into the stores below after they were looked at is safe", async () => {
  await using world = await openWorld();
  world.blob(1);
  world.content.hook = (call) => {
    if (call !== "walked") return;
    world.content.blobs.set(d(2), 100);
    world.overlay.add("default/9/new");
  };
  world.overlay.hook = (call) => {
    if (call === "walked") world.overlay.add("default/10/newer");
  };
  const { removed } = await world.metadata.collect();
  expect(removed.map(textOf).toSorted()).toEqual(["content 1", "snapshot overlay/new"]);
  expect(world.stored()).toEqual(["2"]);
  expect([...world.overlay.entries.keys()]).toEqual(["default/10/newer"]);
});

// G-44: the records are read again if they have changed since they were read ahead
test.each(["this process", "another process"])(
  "a lease that %s takes while the collector reads counts",
  async (who) => {
    let early = 0;
    for (let turns = 0; turns < 14; turns += 1) {
      await using world = await openWorld();
      world.blob(1);
      world.lease("late", []);
      const { leases } = world.metadata.namespace("default");
      let wasThere = false;
      const take = async (): Promise<void> => {
        for (let turn = 0; turn < turns; turn += 1) await setImmediate();
        if (who === "this process") await leases.add("late", { type: "content", id: d(1) });
        wasThere = world.records().includes("content 1");
        if (who !== "this process")
          world.run("INSERT INTO lease_resources VALUES ('default', 'late', 'content', '', ?)", d(1));
      };
      const taken = Promise.withResolvers<void>();
      world.content.hook = (call) => {
        // The records are read after the last look below.
        if (call === "walked") taken.resolve(take());
      };
      await world.metadata.collect();
      await taken.promise;
      expect(world.records().includes("content 1")).toBe(wasThere);
      if (wasThere) early += 1;
    }
    expect(early).toBeGreaterThan(1);
  },
);

test("a blob that gets a record, or an ingest that expects it, before it is removed is spared", async () => {
  await using world = await openWorld();
  for (const number of [1, 2, 3]) world.content.blobs.set(d(number), 100);
  world.snapshot("a", { stored: false, kind: "active", owner: currentOwner() });
  // Measuring comes between the decision and the removals.
  world.overlay.hook = (call) => {
    if (call !== "stat" || world.records().includes("content 1")) return;
    world.blob(1, { labels: { "containerd.io/gc.root": "" } });
    world.ingest("r", { expected: 2, stored: false });
  };
  const { removed, bytes } = await world.metadata.collect();
  expect(removed.map(textOf)).toEqual(["snapshot overlay/a", " content 3"]);
  expect(bytes).toBe(100);
  expect(world.stored()).toEqual(["1", "2"]);
});

test("a blob that another process is removing is left to it, and what a dead one has begun is ended", async () => {
  await using world = await openWorld();
  for (const number of [1, 2]) world.content.blobs.set(d(number), 100);
  world.run(
    "INSERT INTO removals VALUES (?, ?), (?, ?), (?, ?)",
    d(1),
    currentOwner(),
    d(2),
    deadOwner,
    d(3),
    deadOwner,
  );
  const { removed } = await world.metadata.collect();
  expect(removed.map(textOf)).toEqual([" content 2"]);
  expect(world.stored()).toEqual(["1"]);
  expect(world.sql.prepare("SELECT digest FROM removals").all()).toEqual([{ digest: d(1) }]);
});

test("claims of dead processes are cleared although there is nothing to collect", async () => {
  await using world = await openWorld();
  world.run("INSERT INTO removals VALUES (?, ?)", d(3), deadOwner);
  await world.metadata.collect();
  expect(world.sql.prepare("SELECT * FROM removals").all()).toEqual([]);
});

test("claims that could not be given back are given back by the next run", async () => {
  await using world = await openWorld();
  world.blob(1);
  world.run("CREATE TRIGGER stuck BEFORE DELETE ON removals BEGIN SELECT raise(ABORT, 'disk is broken'); END");
  await expect(world.metadata.collect()).rejects.toThrow("disk is broken");
  expect(world.sql.prepare("SELECT digest FROM removals").all()).toEqual([{ digest: d(1) }]);
  world.run("DROP TRIGGER stuck");
  await world.metadata.collect();
  expect(world.sql.prepare("SELECT digest FROM removals").all()).toEqual([]);
});

test("several collectors at once do what one does", async () => {
  await using world = await openWorld();
  fill(world);
  for (let number = 100; number < 1200; number += 1) world.content.blobs.set(d(number), 1);
  const other = await world.open();
  const reports = await Promise.all([world.metadata.collect(), other.collect(), world.metadata.collect()]);
  await other.close();
  expect(reports.flatMap(({ failed }) => failed)).toEqual([]);
  expectKept(world);
});

// G-43
test("an abort in the middle gives its reason, leaves no claim, and the next run goes on", async () => {
  await using world = await openWorld();
  fill(world);
  const controller = new AbortController();
  const reason = new Error("enough");
  world.content.hook = (call) => {
    if (call === "deleted") controller.abort(reason);
  };
  await expect(world.metadata.collect({ signal: controller.signal })).rejects.toBe(reason);
  expect(world.sql.prepare("SELECT * FROM removals").all()).toEqual([]);
  await expect(world.metadata.collect({ signal: controller.signal })).rejects.toBe(reason);
  world.content.hook = () => {};
  await world.metadata.collect();
  expectKept(world);
});

test("a store below that cannot be listed stops the run before anything is removed", async () => {
  await using world = await openWorld();
  fill(world);
  const before = world.records();
  const failure = Object.assign(new Error("input/output error"), { code: "EIO" });
  world.content.hook = (call) => {
    if (call === "walked") throw failure;
  };
  await expect(world.metadata.collect()).rejects.toBe(failure);
  expect(world.records()).toEqual(before);
});

test.each([{ ingestAgeMs: -1 }, { ingestBytes: Number.NaN }])("%o is refused", async (options) => {
  await using world = await openWorld();
  await expect(world.metadata.collect(options)).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
});
