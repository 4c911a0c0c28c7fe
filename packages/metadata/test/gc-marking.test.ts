import { expect, test } from "vitest";
import { d, deadOwner, hour, inMs, openWorld, textOf } from "./gc-world.ts";
import type { World } from "./gc-world.ts";

async function removedBy(world: World): Promise<string[]> {
  const { removed, failed } = await world.metadata.collect();
  expect(failed).toEqual([]);
  return removed.map(textOf).toSorted();
}

const ref = (type: string): string => `containerd.io/gc.ref.${type}`;
const bref = (type: string): string => `containerd.io/gc.bref.${type}`;

// C-MD.12, U-GC.3
test("one run leaves exactly what is needed of a mixed world, in the records and below", async () => {
  await using world = await openWorld();
  for (let number = 1; number <= 9; number += 1) {
    world.blob(
      number,
      number === 1 ? { labels: { [ref("content.m.0")]: d(2), [ref("snapshot.overlay")]: "sn5" } } : {},
    );
  }
  for (let level = 1; level <= 5; level += 1) {
    const parent = level === 1 ? {} : { parent: `sn${level - 1}` };
    world.snapshot(`sn${level}`, parent);
    world.snapshot(`other${level}`, level === 1 ? {} : { parent: `other${level - 1}` });
  }
  world.image("kept", 1);
  world.lease("follows", ["content 3"]);
  world.run("UPDATE blobs SET labels = ? WHERE digest = ?", JSON.stringify({ [ref("content")]: d(4) }), d(3));
  world.lease("flat", ["content 5", "snapshot overlay/other2"], { labels: { "containerd.io/gc.flat": "" } });
  world.run("UPDATE blobs SET labels = ? WHERE digest = ?", JSON.stringify({ [ref("content")]: d(6) }), d(5));
  const removed = await removedBy(world);
  expect(removed).toEqual([
    "content 6",
    "content 7",
    "content 8",
    "content 9",
    "snapshot overlay/other3",
    "snapshot overlay/other4",
    "snapshot overlay/other5",
  ]);
  expect(world.records()).toEqual([
    "content 1",
    "content 2",
    "content 3",
    "content 4",
    "content 5",
    "image kept",
    "lease flat",
    "lease follows",
    ...[1, 2].map((level) => `snapshot overlay/other${level}`),
    ...[1, 2, 3, 4, 5].map((level) => `snapshot overlay/sn${level}`),
  ]);
  expect(world.stored()).toEqual(["1", "2", "3", "4", "5"]);
  expect(world.overlay.entries.size).toBe(7);
  expect(await removedBy(world)).toEqual([]);
});

// C-GC.2, U-GC.1
test("roots are live leases and what they hold, images, ingests at work, and what has gc.root", async () => {
  await using world = await openWorld();
  const root = { "containerd.io/gc.root": "always" };
  for (const number of [1, 2, 3, 4, 5, 6, 7, 8, 9]) world.blob(number);
  world.blob(20, { labels: root });
  world.blob(21, { labels: { "containerd.io/gc.rootbad": "always" } });
  world.blob(22, { labels: { "containerd.io/gc.root": "" } });
  world.snapshot("root", { labels: root });
  world.snapshot("none");
  world.snapshot("held");
  world.snapshot("expired");
  world.image("forever", 1);
  world.image("later", 2, { labels: { "containerd.io/gc.expire": inMs(hour) } });
  world.image("over", 3, { labels: { "containerd.io/gc.expire": inMs(-hour) } });
  world.image("unreadable", 4, { labels: { "containerd.io/gc.expire": "tomorrow" } });
  world.image("over, but held", 5, { labels: { "containerd.io/gc.expire": inMs(-hour) } });
  world.lease("forever", ["content 6", "snapshot overlay/held", "image over, but held", "ingest old"]);
  world.lease("later", ["content 7"], { expiresAt: Date.now() + hour });
  world.lease("over", ["content 8", "snapshot overlay/expired", "ingest lapsed"], { expiresAt: Date.now() - 1 });
  world.lease("over by label", ["content 9"], { labels: { "containerd.io/gc.expire": inMs(-1) } });
  world.lease("unreadable", [], { labels: { "containerd.io/gc.expire": "soon" } });
  world.ingest("young");
  world.ingest("old", { updatedAt: Date.now() - 48 * hour });
  world.ingest("lapsed", { updatedAt: Date.now() - 48 * hour });
  expect(await removedBy(world)).toEqual([
    "content 21",
    "content 3",
    "content 8",
    "content 9",
    "image over",
    "ingest lapsed",
    "lease over",
    "lease over by label",
    "snapshot overlay/expired",
    "snapshot overlay/none",
  ]);
  expect(world.stored()).toEqual(["1", "2", "20", "22", "4", "5", "6", "7", "default/old", "default/young"]);
});

// C-GC.4, U-GC.2, U-GC.9
test.each([
  ["content", true],
  ["content.l.0", true],
  ["content.config", true],
  ["content.m.1", true],
  ["content.referrer.sha256.0123456789ab", true],
  ["content/anything", true],
  ["contentbad", false],
  ["contents.a", false],
  ["image", false],
  ["unknown", false],
])("the label gc.ref.%s keeps a blob: %s", async (kind, keeps) => {
  await using world = await openWorld();
  world.blob(1, { labels: { [ref(kind)]: d(2) } });
  world.blob(2);
  world.image("a", 1);
  expect(await removedBy(world)).toEqual(keeps ? [] : ["content 2"]);
});

// C-GC.4
test.each([
  ["snapshot.overlay", ["snapshot btrfs/sn"]],
  ["snapshot.overlay/anything", ["snapshot btrfs/sn"]],
  ["snapshot.btrfs", ["snapshot overlay/sn"]],
  ["snapshot.", ["snapshot btrfs/sn", "snapshot overlay/sn"]],
  ["snapshot", ["snapshot btrfs/sn", "snapshot overlay/sn"]],
  ["snapshot.overlaybad", ["snapshot btrfs/sn", "snapshot overlay/sn"]],
])("the label gc.ref.%s keeps a snapshot of that snapshotter only", async (kind, removed) => {
  await using world = await openWorld();
  world.blob(1, { labels: { [ref(kind)]: "sn" } });
  world.snapshot("sn");
  world.snapshot("sn", { snapshotter: "btrfs" });
  world.image("a", 1);
  expect(await removedBy(world)).toEqual(removed);
});

// C-GC.4
test("references lead from images, snapshots and blobs to images, snapshots and blobs, and over parents", async () => {
  await using world = await openWorld();
  for (const number of [1, 2, 3, 4]) world.blob(number);
  world.image("kept", 1, {
    labels: { [ref("image")]: "expired", [ref("content.x")]: d(2), [ref("snapshot.overlay")]: "top" },
  });
  world.image("expired", 3, { labels: { "containerd.io/gc.expire": inMs(-hour) } });
  world.snapshot("bottom");
  world.snapshot("middle", { parent: "bottom", labels: { [ref("content")]: d(4), [ref("snapshot.btrfs/a")]: "b" } });
  world.snapshot("top", { parent: "middle" });
  world.snapshot("b", { snapshotter: "btrfs" });
  world.blob(5);
  expect(await removedBy(world)).toEqual(["content 5"]);
});

test("references stay within their namespace", async () => {
  await using world = await openWorld();
  world.blob(1, { labels: { [ref("content")]: d(2) } });
  world.blob(2, { namespace: "other" });
  world.image("a", 1);
  expect(await removedBy(world)).toEqual(["other content 2"]);
});

// C-GC.4
test("an object with a back reference is kept while the object that it names is", async () => {
  await using world = await openWorld();
  world.image("image", 1);
  for (const number of [1, 2, 3]) world.blob(number);
  world.snapshot("sn", { labels: { "containerd.io/gc.root": "" } });
  world.blob(10, { labels: { [bref("content")]: d(1) } });
  world.blob(11, { labels: { [bref("content.a")]: d(1) } });
  world.blob(12, { labels: { [bref("image/a")]: "image" } });
  world.blob(13, { labels: { [bref("snapshot.overlay")]: "sn" } });
  world.blob(14, { labels: { [bref("snapshot.overlay/a")]: "sn" } });
  world.blob(20, { labels: { [bref("content")]: d(2) } });
  world.blob(21, { labels: { [bref("contentbad")]: d(1) } });
  world.blob(22, { labels: { [bref("snapshot.btrfs")]: "sn" } });
  world.snapshot("follows", { labels: { [bref("content")]: d(10) } });
  world.image("expired", 3, { labels: { "containerd.io/gc.expire": inMs(-hour), [bref("image")]: "image" } });
  expect(await removedBy(world)).toEqual(["content 2", "content 20", "content 21", "content 22"]);
});

test("a back reference counts even if what it names is held but does not exist", async () => {
  await using world = await openWorld();
  world.blob(1, { labels: { [bref("content")]: d(9) } });
  world.lease("l", ["content 9"]);
  expect(await removedBy(world)).toEqual([]);
});

// C-GC.4
test.each([
  ["usedat<2h|sn", -hour, true],
  ["usedat<2h|sn", -3 * hour, false],
  ["usedat<1h30m,usedat<4h|sn", -3 * hour, true],
  ["usedat>2h|sn", -3 * hour, true],
  ["usedat>2h|sn", -hour, false],
  ["usedat<2h|other", -hour, false],
  ["usedat=2h|sn", -hour, false],
  ["usedat<soon|sn", -hour, false],
  ["age<2h|sn", -hour, false],
  ["usedat<2h", -hour, false],
])("the condition %s on a snapshot used %i ms ago keeps it: %s", async (condition, usedAt, keeps) => {
  await using world = await openWorld();
  world.blob(1, { labels: { "containerd.io/gc.cond.snapshot.overlay": condition } });
  world.image("a", 1);
  world.snapshot("parent");
  world.snapshot("sn", { parent: "parent", labels: { "containerd.io/gc.cond.value-usedat": inMs(usedAt) } });
  expect(await removedBy(world)).toEqual(keeps ? [] : ["snapshot overlay/parent", "snapshot overlay/sn"]);
});

test("a condition of something that goes keeps nothing", async () => {
  await using world = await openWorld();
  world.blob(1, { labels: { "containerd.io/gc.cond.snapshot.overlay": "usedat<2h|sn" } });
  world.snapshot("sn", { labels: { "containerd.io/gc.cond.value-usedat": inMs(-hour) } });
  expect(await removedBy(world)).toEqual(["content 1", "snapshot overlay/sn"]);
});

// C-GC.1, C-GC.4
test("a flat lease keeps what it holds, its parents and its target, but not what the labels say", async () => {
  await using world = await openWorld();
  world.blob(1, { labels: { [ref("content")]: d(2), [ref("snapshot.overlay")]: "other" } });
  world.blob(2);
  world.blob(3, { labels: { [bref("content")]: d(1) } });
  world.blob(4, { labels: { [ref("content")]: d(2) } });
  world.image("image", 4, { labels: { "containerd.io/gc.expire": inMs(-hour), [ref("content")]: d(2) } });
  world.snapshot("parent", { labels: { [ref("content")]: d(2) } });
  world.snapshot("sn", { parent: "parent" });
  world.snapshot("other");
  const labels = { "containerd.io/gc.flat": "1" };
  world.lease("flat", ["content 1", "snapshot overlay/sn", "image image"], { labels });
  expect(await removedBy(world)).toEqual(["content 2", "content 3", "snapshot overlay/other"]);
  expect(world.records()).toContain("content 1");
});

test("what a flat lease and another one hold keeps all that it refers to", async () => {
  await using world = await openWorld();
  world.blob(1, { labels: { [ref("content")]: d(2) } });
  world.blob(2, { labels: { [ref("content")]: d(3) } });
  world.blob(3);
  world.lease("a flat", ["content 1", "content 2"], { labels: { "containerd.io/gc.flat": "1" } });
  expect((await removedBy(world)).length).toBe(1);
  world.blob(3);
  world.lease("b", ["content 1"]);
  expect(await removedBy(world)).toEqual([]);
});

// C-GC.7, U-GC.5
test("cycles are no trouble, whether they are reached or not", async () => {
  await using world = await openWorld();
  world.blob(1, { labels: { [ref("content")]: d(2) } });
  world.blob(2, { labels: { [ref("content")]: d(1) } });
  world.blob(3, { labels: { [ref("content")]: d(4) } });
  world.blob(4, { labels: { [ref("content")]: d(3) } });
  world.blob(5, { labels: { [ref("content")]: d(5) } });
  world.image("a", 1);
  expect(await removedBy(world)).toEqual(["content 3", "content 4", "content 5"]);
});

test("a chain of 5,000 snapshots is followed without recursion, and removed from its end", async () => {
  await using world = await openWorld();
  world.sql.exec("BEGIN");
  const insert = world.sql.prepare(
    "INSERT INTO snapshots VALUES (?, 'default', 'overlay', ?, 'committed', ?, ?, '', '{}', 0, 0)",
  );
  for (let seq = 1; seq <= 5000; seq += 1) {
    insert.run(seq, `${seq}`, seq === 1 ? null : seq - 1, `default/${seq}/${seq}`);
    world.overlay.add(`default/${seq}/${seq}`, seq === 1 ? undefined : `default/${seq - 1}/${seq - 1}`);
  }
  world.sql.exec("COMMIT");
  world.lease("l", ["snapshot overlay/4998"]);
  world.overlay.remove = async (name) => void (world.overlay.removed.push(name), world.overlay.entries.delete(name));
  expect(await removedBy(world)).toEqual(["snapshot overlay/4999", "snapshot overlay/5000"]);
  expect(world.overlay.removed).toEqual(["default/5000/5000", "default/4999/4999"]);
});

// P08, C03
test("the lease of an operation lives and dies with its process, whatever the clock says", async () => {
  await using world = await openWorld();
  const { currentOwner } = await import("@varve/locks");
  world.blob(1);
  world.blob(2);
  const owner = "dev.varve/lease.owner";
  world.lease("alive", ["content 1"], {
    labels: { [owner]: currentOwner() },
    expiresAt: Date.now() - 3650 * 24 * hour,
  });
  world.lease("dead", ["content 2"], { labels: { [owner]: deadOwner }, expiresAt: Date.now() + hour });
  expect(await removedBy(world)).toEqual(["content 2", "lease dead"]);
});
