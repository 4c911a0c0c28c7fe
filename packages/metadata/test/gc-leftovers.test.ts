import { currentOwner } from "@varve/locks";
import { expect, test } from "vitest";
import { d, deadOwner, hour, openWorld, textOf } from "./gc-world.ts";
import type { World } from "./gc-world.ts";

const day = 24 * hour;
const labelTarget = "containerd.io/snapshot.ref";

async function removedBy(
  world: World,
  options: { ingestAgeMs?: number; ingestBytes?: number } = {},
): Promise<string[]> {
  const { removed, failed } = await world.metadata.collect(options);
  expect(failed).toEqual([]);
  return removed.map(textOf).toSorted();
}

// G-40
test("an ingest that nobody works on is kept for a day, or as long as is said", async () => {
  await using world = await openWorld();
  world.ingest("fresh");
  world.ingest("hours", { updatedAt: Date.now() - 5 * hour });
  world.ingest("days", { updatedAt: Date.now() - 25 * hour });
  world.ingest("held", { updatedAt: Date.now() - 25 * hour });
  world.lease("l", ["ingest held"]);
  expect(await removedBy(world)).toEqual(["ingest days"]);
  expect(await removedBy(world, { ingestAgeMs: hour })).toEqual(["ingest hours"]);
  expect(await removedBy(world, { ingestAgeMs: 0 })).toEqual(["ingest fresh"]);
  expect(world.stored()).toEqual(["default/held"]);
});

test("an old ingest that a writer has come back to counts as fresh", async () => {
  await using world = await openWorld();
  world.ingest("a", { createdAt: Date.now() - 1000, updatedAt: Date.now() - 25 * hour });
  expect(await removedBy(world)).toEqual([]);
});

// P08
test("an ingest that is written in the future is as old as one that was written as long ago", async () => {
  await using world = await openWorld();
  world.ingest("set back by a minute", { updatedAt: Date.now() + 60_000 });
  world.ingest("set back by years", { updatedAt: Date.now() + 3650 * day });
  world.ingest("set back, but held", { updatedAt: Date.now() + 3650 * day });
  world.lease("l", ["ingest set back, but held"]);
  expect(await removedBy(world)).toEqual(["ingest set back by years"]);
});

test("of ingests that hold too many bytes the ones written longest ago go", async () => {
  await using world = await openWorld();
  for (const [index, ref] of ["a", "b", "c", "d"].entries()) {
    world.ingest(ref, { offset: 100, updatedAt: Date.now() - (10 - index) * 1000 });
  }
  world.ingest("held", { offset: 1000, updatedAt: Date.now() - 20_000 });
  world.lease("l", ["ingest held"]);
  expect(await removedBy(world, { ingestBytes: 400 })).toEqual([]);
  expect(await removedBy(world, { ingestBytes: 250 })).toEqual(["ingest a", "ingest b"]);
  expect(await removedBy(world, { ingestBytes: 0 })).toEqual(["ingest c", "ingest d"]);
});

// U-GC.2
test("an ingest keeps the blob that it is to become", async () => {
  await using world = await openWorld();
  world.ingest("a", { expected: 1 });
  world.blob(1, { labels: { "containerd.io/gc.ref.content": d(2) } });
  world.blob(2);
  expect(await removedBy(world)).toEqual([]);
  expect(await removedBy(world, { ingestAgeMs: 0 })).toEqual(["content 1", "content 2", "ingest a"]);
});

test("the record of an ingest that is not there goes after a minute", async () => {
  await using world = await openWorld();
  world.ingest("beginning", { stored: false, createdAt: Date.now() - 30_000 });
  world.ingest("never begun", { stored: false, createdAt: Date.now() - 90_000 });
  world.ingest("held", { stored: false, createdAt: Date.now() - 90_000 });
  world.lease("l", ["ingest held"]);
  expect(await removedBy(world)).toEqual(["ingest never begun"]);
});

test("a blob whose commit was not finished waits for its record as long as an ingest does", async () => {
  await using world = await openWorld();
  world.ingest("a", { expected: 1, stored: false, createdAt: Date.now() - 2 * hour });
  world.content.blobs.set(d(1), 100);
  expect(await removedBy(world)).toEqual([]);
  expect(await removedBy(world, { ingestAgeMs: hour })).toEqual([" content 1", "ingest a"]);
  expect(world.stored()).toEqual([]);
});

test("an ingest below that has no record goes at once, unless a writer comes for it", async () => {
  await using world = await openWorld();
  world.ingest("orphan", { recorded: false });
  world.ingest("taken up", { recorded: false });
  world.content.ingests.set("no namespace", {
    ref: "no namespace",
    offset: 1,
    startedAt: new Date(),
    updatedAt: new Date(),
  });
  world.content.hook = (call) => {
    if (call === "abort" && world.records().length === 0) world.ingest("taken up", { stored: false });
  };
  // Both are looked at before the first one is dropped, so the one that comes for it has come before.
  world.snapshot("a", { stored: false });
  world.overlay.hook = (call) => {
    if (call === "stat" && !world.records().includes("ingest taken up")) world.ingest("taken up", { stored: false });
  };
  expect(await removedBy(world)).toEqual([" ingest no namespace", "ingest orphan", "snapshot overlay/a"]);
  expect(world.stored()).toEqual(["default/taken up"]);
});

const root = { "containerd.io/gc.root": "" };

test("a record whose snapshot was never made goes when its maker is dead, whatever holds it", async () => {
  await using world = await openWorld();
  world.snapshot("dead", { kind: "active", owner: deadOwner, stored: false, labels: root });
  world.snapshot("alive", { kind: "active", owner: currentOwner(), stored: false, labels: root });
  world.snapshot("made", { kind: "active", owner: deadOwner, labels: root });
  world.snapshot("dead commit", { owner: deadOwner, stored: false, labels: root });
  world.snapshot("committed away", { kind: "active", stored: false, labels: root });
  world.snapshot("damaged", { stored: false, labels: root });
  world.lease("l", ["snapshot overlay/dead"]);
  const { removed } = await world.metadata.collect();
  expect(removed.map((item) => `${textOf(item)}: ${item.reason}`)).toEqual([
    "snapshot overlay/dead: it was never made",
    "snapshot overlay/dead commit: it was never made",
    "snapshot overlay/committed away: it was never made",
  ]);
  expect(world.records()).toEqual([
    "lease l",
    "snapshot overlay/alive",
    "snapshot overlay/damaged",
    "snapshot overlay/made",
  ]);
  expect(world.sql.prepare("SELECT * FROM lease_resources").all()).toEqual([]);
});

test("a record whose snapshot was made after the snapshots were listed stays", async () => {
  await using world = await openWorld();
  const key = world.snapshot("a", { kind: "active", owner: deadOwner, stored: false, labels: root });
  world.overlay.hook = (call) => {
    if (call === "walked") world.overlay.add(key);
  };
  expect(await removedBy(world)).toEqual([]);
});

test("a record that others stand on stays, although its snapshot was never made", async () => {
  await using world = await openWorld();
  world.snapshot("lost", { owner: deadOwner, stored: false, labels: root });
  world.snapshot("child", { parent: "lost", labels: root });
  world.snapshot("lost too", { owner: deadOwner, stored: false });
  world.snapshot("child of it", { parent: "lost too", owner: deadOwner, stored: false, labels: root });
  expect(await removedBy(world)).toEqual(["snapshot overlay/child of it", "snapshot overlay/lost too"]);
});

test("a parent that was recorded after its child goes together with it", async () => {
  await using world = await openWorld();
  world.snapshot("child");
  world.snapshot("parent");
  const link = "UPDATE snapshots SET parent = (SELECT seq FROM snapshots WHERE name = 'parent') WHERE name = 'child'";
  world.run(link);
  expect(await removedBy(world)).toEqual(["snapshot overlay/child", "snapshot overlay/parent"]);
  // What SQLite is told of one transaction does not hold for the next.
  world.snapshot("child");
  world.snapshot("parent");
  world.run(link);
  expect(await removedBy(world)).toEqual(["snapshot overlay/child", "snapshot overlay/parent"]);
});

// U-MD.13
test("a snapshot below that somebody alive is about to adopt is kept", async () => {
  await using world = await openWorld();
  world.overlay.add("remote", undefined, { [labelTarget]: "chain" });
  world.overlay.add("remote of the dead", undefined, { [labelTarget]: "other chain" });
  const labels = { ...root, [labelTarget]: "chain" };
  world.snapshot("prepared", { kind: "active", owner: currentOwner(), stored: false, labels });
  const dead = { ...root, [labelTarget]: "other chain" };
  world.snapshot("prepared by the dead", { kind: "active", owner: deadOwner, stored: false, labels: dead });
  expect(await removedBy(world)).toEqual([
    " snapshot overlay/remote of the dead",
    "snapshot overlay/prepared by the dead",
  ]);
});

// U-MD.13
test("a snapshot below that is adopted before it is removed is spared, with what it stands on", async () => {
  await using world = await openWorld();
  world.overlay.add("base");
  world.overlay.add("remote", "base");
  world.overlay.hook = (call) => {
    if (call !== "stat" || world.records().length > 0) return;
    world.snapshot("chain", { stored: false, labels: root });
    world.run("UPDATE snapshots SET backend_key = 'remote'");
  };
  expect(await removedBy(world)).toEqual([]);
  expect(world.overlay.entries.size).toBe(2);
});

test("nothing below is removed while records of it are still to be made for an old store", async () => {
  await using world = await openWorld();
  world.content.blobs.set(d(1), 100);
  world.run("INSERT INTO adoptions VALUES ('content')");
  expect(await removedBy(world)).toEqual([]);
  expect(world.stored()).toEqual(["1"]);
});
