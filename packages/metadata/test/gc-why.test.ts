import type { Explanation, Item } from "@varve/metadata";
import { expect, test } from "vitest";
import { d, deadOwner, hour, openWorld, textOf } from "./gc-world.ts";
import type { World } from "./gc-world.ts";

const ref = (type: string): string => `containerd.io/gc.ref.${type}`;

const of = (type: string, id: string | number, namespace = "default"): Item =>
  type === "snapshot"
    ? { namespace, type, snapshotter: "overlay", id: String(id) }
    : { namespace, type, id: typeof id === "number" ? d(id) : id };

async function why(world: World, item: Item): Promise<string[]> {
  const explanation: Explanation = await world.metadata.why(item);
  expect(explanation.kept).toBe(explanation.path.length > 0);
  return [explanation.summary, ...explanation.path.map((step) => `${textOf(step.item)}: ${step.by}`)];
}

// G-41, G-72
test("the way from an image to what it needs is told step by step", async () => {
  await using world = await openWorld();
  world.image("docker.io/library/debian:12", 1);
  world.blob(1, { labels: { [ref("content.m.0")]: d(2) } });
  world.blob(2, { labels: { [ref("content.config")]: d(3), [ref("content.l.0")]: d(4) } });
  world.blob(3, { labels: { [ref("snapshot.overlay")]: "top" } });
  world.blob(4, {});
  world.snapshot("bottom");
  world.snapshot("top", { parent: "bottom" });
  const toManifest = [
    "image docker.io/library/debian:12: image",
    "content 1: target",
    "content 2: label containerd.io/gc.ref.content.m.0",
  ];
  expect(await why(world, of("content", 4))).toEqual([
    `content ${d(4)} is kept by image docker.io/library/debian:12`,
    ...toManifest,
    "content 4: label containerd.io/gc.ref.content.l.0",
  ]);
  expect(await why(world, of("snapshot", "bottom"))).toEqual([
    "snapshot bottom is kept by image docker.io/library/debian:12",
    ...toManifest,
    "content 3: label containerd.io/gc.ref.content.config",
    "snapshot overlay/top: label containerd.io/gc.ref.snapshot.overlay",
    "snapshot overlay/bottom: parent",
  ]);
  expect(await why(world, of("image", "docker.io/library/debian:12"))).toEqual([
    "image docker.io/library/debian:12 is kept: image",
    "image docker.io/library/debian:12: image",
  ]);
});

test("leases, flat leases, expected blobs, back references and gc.root are told as what they are", async () => {
  await using world = await openWorld();
  for (const number of [1, 2, 3]) world.blob(number);
  world.blob(4, { labels: { "containerd.io/gc.bref.content": d(1) } });
  world.blob(5, { labels: { "containerd.io/gc.root": "" } });
  world.lease("l", ["content 1"], { expiresAt: Date.UTC(2100, 0, 1) });
  world.lease("flat", ["content 2"], { labels: { "containerd.io/gc.flat": "" } });
  world.ingest("r", { expected: 3, updatedAt: Date.now() });
  const lease = "lease l: lease until 2100-01-01T00:00:00.000Z";
  expect((await why(world, of("lease", "l"))).slice(1)).toEqual([lease]);
  expect((await why(world, of("content", 1))).slice(1)).toEqual([lease, "content 1: lease"]);
  expect((await why(world, of("content", 2))).slice(1)).toEqual(["lease flat: lease", "content 2: flat lease"]);
  expect((await why(world, of("content", 3))).slice(1)).toEqual([
    expect.stringMatching(/^ingest r: ingest, last written 20/),
    "content 3: expected",
  ]);
  expect((await why(world, of("content", 4))).slice(1)).toEqual([
    lease,
    "content 1: lease",
    "content 4: its label containerd.io/gc.bref.content",
  ]);
  expect((await why(world, of("content", 5))).slice(1)).toEqual(["content 5: label containerd.io/gc.root"]);
});

// G-41
test("of what goes the reason is told: an expired lease, a dead process, an old ingest, or nothing at all", async () => {
  await using world = await openWorld();
  for (const number of [1, 2, 3, 4]) world.blob(number);
  world.blob(1, { namespace: "other", labels: { [ref("content")]: d(5) } });
  world.blob(5, { namespace: "other" });
  world.lease("old", ["content 1"], { namespace: "other", expiresAt: Date.UTC(2020, 0, 1) });
  world.lease("left", ["content 2"], { labels: { "dev.varve/lease.owner": deadOwner } });
  world.ingest("stale", { updatedAt: Date.UTC(2020, 0, 1), expected: 3 });
  world.image("expired", 4, { labels: { "containerd.io/gc.expire": "2020-01-01T00:00:00Z" } });
  const expired = "expired 2020-01-01T00:00:00.000Z";
  expect(await why(world, of("lease", "old", "other"))).toEqual([`lease old goes: ${expired}`]);
  expect(await why(world, of("content", 5, "other"))).toEqual([`content ${d(5)} goes: lease old ${expired}`]);
  expect(await why(world, of("content", 1))).toEqual([`content ${d(1)} goes: nothing refers to it`]);
  expect(await why(world, of("content", 2))).toEqual([
    `content ${d(2)} goes: lease left outlived its process ${deadOwner}`,
  ]);
  const written = "was last written 2020-01-01T00:00:00.000Z, too long ago";
  expect(await why(world, of("ingest", "stale"))).toEqual([`ingest stale goes: ${written}`]);
  expect(await why(world, of("content", 3))).toEqual([`content ${d(3)} goes: ingest stale ${written}`]);
  expect(await why(world, of("image", "expired"))).toEqual([`image expired goes: ${expired}`]);
  expect(await why(world, of("content", 4))).toEqual([`content ${d(4)} goes: image expired ${expired}`]);
});

test("the limits of ingests are those that are given", async () => {
  await using world = await openWorld();
  world.ingest("a", { offset: 100, updatedAt: Date.now() - hour });
  const item = of("ingest", "a");
  expect((await world.metadata.why(item)).kept).toBe(true);
  expect((await world.metadata.why(item, { ingestAgeMs: 1 })).kept).toBe(false);
  const limited = await world.metadata.why(item, { ingestBytes: 10 });
  expect(limited.summary).toBe("ingest a goes: is too much for the 10 bytes that ingests may hold");
});

test("what is below without a record is explained too", async () => {
  await using world = await openWorld();
  world.content.blobs.set(d(1), 100);
  world.content.blobs.set(d(2), 100);
  world.ingest("orphan", { recorded: false });
  world.overlay.add("default/7/orphan");
  expect(await why(world, of("content", 1))).toEqual([`content ${d(1)} goes: it has no record`]);
  expect(await why(world, of("ingest", "orphan"))).toEqual(["ingest orphan goes: it has no record"]);
  expect(await why(world, of("snapshot", "orphan"))).toEqual(["snapshot orphan goes: it has no record"]);
  expect(await why(world, of("snapshot", "default/7/orphan", ""))).toEqual([
    "snapshot default/7/orphan goes: it has no record",
  ]);
  world.ingest("r", { expected: 2 });
  expect((await why(world, of("content", 2))).slice(2)).toEqual(["content 2: expected"]);
  const elsewhere = await world.metadata.why(of("content", 2, "other"));
  expect([elsewhere.kept, elsewhere.path]).toEqual([true, []]);
});

test("a snapshot is found without the name of its snapshotter", async () => {
  await using world = await openWorld();
  world.snapshot("a", { snapshotter: "btrfs" });
  const { item, summary } = await world.metadata.why({ namespace: "default", type: "snapshot", id: "a" });
  expect([textOf(item), summary]).toEqual(["snapshot btrfs/a", "snapshot a goes: nothing refers to it"]);
});

test.each([
  of("content", 9),
  of("content", 1, "other"),
  of("image", "none"),
  of("ingest", "none"),
  of("lease", "none"),
  of("snapshot", "none"),
  of("nothing of the kind", "none"),
])("%o is not found", async (item) => {
  await using world = await openWorld();
  world.blob(1);
  // Something that is only referred to is not there either.
  world.lease("l", ["content 9", "image none", "snapshot overlay/none"]);
  await expect(world.metadata.why(item)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
});

test("no blob but the one that is asked for, and what ingests will become, is looked at for an explanation", async () => {
  await using world = await openWorld();
  for (const number of [1, 2, 3]) world.blob(number);
  world.content.blobs.set(d(4), 100);
  world.ingest("r", { expected: 5, stored: false, createdAt: Date.now() - hour });
  world.content.blobs.set(d(5), 100);
  world.image("a", 1);
  world.snapshot("s");
  const items = [of("content", 1), of("content", 2), of("content", 4), of("image", "a"), of("snapshot", "s")];
  const kept: boolean[] = [];
  for (const item of items) kept.push((await world.metadata.why(item)).kept);
  expect(kept).toEqual([true, false, false, true, false]);
  expect(await why(world, of("ingest", "r"))).toContain(
    "ingest r is kept: ingest that is about to begin, or to be committed",
  );
  expect(world.content.calls.get("walk")).toBe(undefined);
});

test.each([
  of("content", 9),
  of("content", "no digest"),
  of("image", "none"),
  of("ingest", "none"),
  of("lease", "none"),
])("that %o is unknown is told without looking at everything", async (item) => {
  await using world = await openWorld();
  await expect(world.metadata.why(item)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  expect([...world.content.calls.keys()]).toEqual([]);
});

test("explaining changes nothing", async () => {
  await using world = await openWorld();
  world.blob(1);
  world.snapshot("a", { kind: "active", owner: deadOwner, stored: false });
  await why(world, of("content", 1));
  expect(await why(world, of("snapshot", "a"))).toEqual(["snapshot a goes: nothing refers to it"]);
  expect(world.records()).toEqual(["content 1", "snapshot overlay/a"]);
  expect(world.stored()).toEqual(["1"]);
});
