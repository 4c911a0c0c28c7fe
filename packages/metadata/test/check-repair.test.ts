import type { Digest } from "@varve/digest";
import { digestOf } from "@varve/digest";
import { currentOwner } from "@varve/locks";
import type { Metadata } from "@varve/metadata";
import { labelOwner, labelTarget } from "@varve/snapshots";
import { expect, test } from "vitest";
import { pull } from "./check-material.ts";
import { FakeSnapshotter } from "./fake-snapshotter.ts";
import { killOwners, openOver, sql } from "./snapshot-store.ts";
import { QuarantiningContent, StoredContent } from "./stored-content.ts";
import { list, tempDir } from "./temp.ts";

function first(digests: readonly Digest[]): Digest {
  const [digest] = digests;
  if (digest === undefined) throw new Error("none");
  return digest;
}

function damage(content: StoredContent, digest: Digest): void {
  content.blobs.set(digest, Buffer.from(`bytes that are not those of ${digest}`));
}

async function snapshots(metadata: Metadata, namespace = "default"): Promise<string[]> {
  const snapshotter = await metadata.namespace(namespace).snapshotter("fake");
  return (await list(snapshotter.walk())).map(({ name }) => name);
}

async function kinds(metadata: Metadata): Promise<string[]> {
  return (await metadata.check()).problems.map(({ kind, item }) => `${kind} ${item.id}`);
}

test("a whole store needs no repair", async () => {
  await using temp = await tempDir();
  await using metadata = await openOver(temp.path, new FakeSnapshotter());
  await pull(metadata, "a", ["one"]);
  expect(await metadata.repair()).toEqual({ repairs: [], pullAgain: [] });
});

// F11, G-11, G-12: the layer's tree goes too, so that the next pull fetches and unpacks it
test("a damaged layer is quarantined with what was made of it, and a new pull mends the image", async () => {
  await using temp = await tempDir();
  const backend = new FakeSnapshotter();
  const content = new QuarantiningContent();
  await using metadata = await openOver(temp.path, backend, content);
  const image = await pull(metadata, "a", ["one", "two", "three"]);
  const other = await pull(metadata, "b", ["one", "two", "four"]);
  await pull(metadata, "a", ["one", "two", "three"], "other");
  const [, second] = image.layers;
  damage(content, second ?? first([]));
  const { repairs, pullAgain } = await metadata.repair();
  expect(repairs).toMatchObject([
    {
      problem: { kind: "damaged", item: { id: second } },
      // In two namespaces: three and two of them.
      action: "quarantined as bad-0, record removed, 5 snapshots removed",
      done: true,
    },
  ]);
  expect(content.taken.map(({ digest }) => digest)).toEqual([second]);
  expect(pullAgain).toEqual(["a", "b"]);
  expect(await snapshots(metadata)).toEqual([image.chain[0]]);
  expect(backend.entries.size).toBe(2);
  expect(sql(temp.path, "SELECT 1 FROM blobs WHERE digest = ?", second ?? "")).toEqual([]);
  expect(sql(temp.path, "SELECT 1 FROM removals")).toEqual([]);
  expect(await kinds(metadata)).toEqual(["incomplete a", "incomplete b", "incomplete a"]);
  for (const namespace of ["default", "other"]) await pull(metadata, "a", ["one", "two", "three"], namespace);
  await pull(metadata, "b", ["one", "two", "four"]);
  expect(await kinds(metadata)).toEqual([]);
  expect((await snapshots(metadata)).toSorted()).toEqual([...new Set([...image.chain, ...other.chain])].toSorted());
});

test("without a quarantine a damaged blob is removed, and its lower layers stay unpacked", async () => {
  await using temp = await tempDir();
  const content = new StoredContent();
  await using metadata = await openOver(temp.path, new FakeSnapshotter(), content);
  const image = await pull(metadata, "a", ["one", "two"]);
  damage(content, image.config);
  const { repairs, pullAgain } = await metadata.repair();
  expect(repairs.map(({ action }) => action)).toEqual(["removed, record removed"]);
  expect(pullAgain).toEqual(["a"]);
  expect(await snapshots(metadata)).toEqual(image.chain);
  await pull(metadata, "a", ["one", "two"]);
  expect(await kinds(metadata)).toEqual([]);
});

test("what a layer was unpacked to is also found by its labels, when the config is lost too", async () => {
  await using temp = await tempDir();
  const content = new StoredContent();
  await using metadata = await openOver(temp.path, new FakeSnapshotter(), content);
  const image = await pull(metadata, "a", ["one", "two"]);
  content.blobs.delete(image.config);
  content.blobs.delete(image.layers[1] ?? first([]));
  await metadata.repair();
  expect(await snapshots(metadata)).toEqual([image.chain[0]]);
  await pull(metadata, "a", ["one", "two"]);
  expect(await kinds(metadata)).toEqual([]);
});

test("records of missing blobs go, image records stay and are named", async () => {
  await using temp = await tempDir();
  const content = new StoredContent();
  await using metadata = await openOver(temp.path, new FakeSnapshotter(), content);
  const image = await pull(metadata, "a", ["one", "two"]);
  content.blobs.delete(image.manifest);
  const { repairs, pullAgain } = await metadata.repair();
  expect(repairs.map(({ action, done }) => [action, done])).toEqual([
    ["record removed", true],
    ["kept: pull a again", false],
  ]);
  expect(pullAgain).toEqual(["a"]);
  expect((await metadata.namespace("default").images.get("a")).target).toEqual(image.target);
  expect(await kinds(metadata)).toEqual(["incomplete a"]);
  await pull(metadata, "a", ["one", "two"]);
  expect(await kinds(metadata)).toEqual([]);
});

// F12: as far as records go
test("records of lost snapshots go with those above them, and a new pull unpacks again", async () => {
  await using temp = await tempDir();
  const backend = new FakeSnapshotter();
  await using metadata = await openOver(temp.path, backend);
  const image = await pull(metadata, "a", ["one", "two", "three"]);
  const lost = [...backend.entries.keys()].filter((name) => !name.endsWith(first(image.chain)));
  for (const name of lost) backend.entries.delete(name);
  const { repairs, pullAgain } = await metadata.repair();
  expect(repairs.map(({ done }) => done)).toEqual([true, true]);
  expect(pullAgain).toEqual(["a"]);
  expect(sql(temp.path, "SELECT name FROM snapshots")).toEqual([{ name: image.chain[0] }]);
  await pull(metadata, "a", ["one", "two", "three"]);
  expect(await kinds(metadata)).toEqual([]);
});

test("a snapshot in use stays and is named, and goes with the next repair", async () => {
  await using temp = await tempDir();
  const content = new StoredContent();
  await using metadata = await openOver(temp.path, new FakeSnapshotter(), content);
  const image = await pull(metadata, "a", ["one", "two"]);
  const other = await pull(metadata, "b", ["one", "three"]);
  const snapshotter = await metadata.namespace("default").snapshotter("fake");
  await snapshotter.view("mount /somewhere", image.chain[1]);
  // A mount stays when the process that made it ends.
  killOwners(temp.path);
  damage(content, first(image.layers));
  const { repairs } = await metadata.repair();
  expect(repairs).toMatchObject([
    {
      action: "removed, record removed, 1 snapshot removed, 2 kept: in use by mount /somewhere",
      done: false,
      error: { code: "ERR_FAILED_PRECONDITION", message: expect.stringContaining("mount /somewhere") },
    },
  ]);
  expect(await snapshots(metadata)).toEqual([...image.chain, "mount /somewhere"]);
  expect(other.chain[0]).toBe(image.chain[0]);
  await snapshotter.remove("mount /somewhere");
  expect((await metadata.repair()).pullAgain).toEqual(["a", "b"]);
  expect(await snapshots(metadata)).toEqual([]);
});

test("what a killed process was unpacking keeps nothing", async () => {
  await using temp = await tempDir();
  const content = new StoredContent();
  await using metadata = await openOver(temp.path, new FakeSnapshotter(), content);
  const image = await pull(metadata, "a", ["one"]);
  const snapshotter = await metadata.namespace("default").snapshotter("fake");
  const labels = { [labelTarget]: "next", [labelOwner]: "1/1/00000000-0000-0000-0000-000000000000" };
  await snapshotter.prepare("extract-next", image.chain[0], { labels });
  killOwners(temp.path);
  damage(content, first(image.layers));
  await metadata.repair();
  expect(await snapshots(metadata)).toEqual([]);
});

// K15
test("what is orphaned goes, children before parents", async () => {
  await using temp = await tempDir();
  const backend = new FakeSnapshotter();
  const content = new StoredContent();
  await using metadata = await openOver(temp.path, backend, content);
  await pull(metadata, "a", ["one"]);
  content.blobs.set(digestOf("nobody's"), Buffer.from("nobody's"));
  content.ingests.set("default/ref", []);
  await backend.prepare("active", undefined);
  await backend.commit("default/90/base", "active");
  await backend.prepare("default/91/key", "default/90/base");
  const { repairs } = await metadata.repair();
  expect(repairs.map(({ action }) => action)).toEqual(["removed", "removed", "removed", "removed"]);
  expect([content.blobs.size, content.ingests.size, backend.entries.size]).toEqual([3, 0, 1]);
  expect(await kinds(metadata)).toEqual([]);
});

test("a repair that fails is told, and stops no other", async () => {
  await using temp = await tempDir();
  const content = new QuarantiningContent();
  await using metadata = await openOver(temp.path, new FakeSnapshotter(), content);
  const image = await pull(metadata, "a", ["one", "two"]);
  for (const layer of image.layers) damage(content, layer);
  const failure = new Error("no");
  content.before = async () => {
    content.before = undefined;
    throw failure;
  };
  const { repairs } = await metadata.repair();
  expect(repairs.map(({ done, error }) => [done, error])).toEqual([
    [false, failure],
    [true, undefined],
  ]);
  expect(sql(temp.path, "SELECT 1 FROM removals")).toEqual([]);
  await metadata.repair();
  expect(content.taken).toHaveLength(2);
});

test("a blob that is being collected is left to the collector", async () => {
  await using temp = await tempDir();
  const content = new StoredContent();
  await using metadata = await openOver(temp.path, new FakeSnapshotter(), content);
  const image = await pull(metadata, "a", ["one"]);
  const layer = first(image.layers);
  damage(content, layer);
  sql(temp.path, "INSERT INTO removals (digest, owner) VALUES (?, ?)", layer, currentOwner());
  const { repairs } = await metadata.repair();
  expect(repairs).toMatchObject([{ done: false, error: { code: "ERR_UNAVAILABLE" } }]);
  expect(content.blobs.has(layer)).toBe(true);
});

test("who writes a damaged blob anew while it is taken away is told the truth about it", async () => {
  await using temp = await tempDir();
  const content = new QuarantiningContent();
  await using metadata = await openOver(temp.path, new FakeSnapshotter(), content);
  const image = await pull(metadata, "a", ["one"]);
  const layer = first(image.layers);
  damage(content, layer);
  let writing: Promise<unknown> | undefined;
  content.before = async () => {
    const writer = await metadata.namespace("other").content.writer("anew");
    await writer.write(Buffer.from("one"));
    writing = writer.commit({ digest: layer }).then(
      () => "committed",
      () => "failed",
    );
    // It comes to its end if nothing makes it wait.
    const turns = Array.from({ length: 50 });
    for (const _ of turns) await new Promise((resolve) => setImmediate(resolve));
  };
  await metadata.repair();
  const outcome = await writing;
  const known = sql(temp.path, "SELECT namespace FROM blobs WHERE digest = ?", layer);
  expect(known).toEqual(outcome === "committed" ? [{ namespace: "other" }] : []);
  expect(content.blobs.has(layer)).toBe(outcome === "committed");
  expect((await metadata.check()).problems.filter(({ kind }) => kind !== "incomplete")).toEqual([]);
});

test("a size that is wrong only in the record is corrected", async () => {
  await using temp = await tempDir();
  await using metadata = await openOver(temp.path, new FakeSnapshotter());
  const image = await pull(metadata, "a", ["one"]);
  sql(temp.path, "UPDATE blobs SET size = 7 WHERE digest = ?", first(image.layers));
  const { repairs, pullAgain } = await metadata.repair();
  expect(repairs.map(({ action }) => action)).toEqual(["size of the record corrected"]);
  expect(pullAgain).toEqual([]);
  expect(await kinds(metadata)).toEqual([]);
});

// P07
test("a store whose database was lost is emptied, and can be used again", async () => {
  await using temp = await tempDir();
  const backend = new FakeSnapshotter();
  const content = new StoredContent();
  const before = await openOver(`${temp.path}/old`, backend, content);
  await pull(before, "a", ["one", "two"]);
  await before.close();
  await using metadata = await openOver(`${temp.path}/new`, backend, content);
  await metadata.repair();
  expect([content.blobs.size, backend.entries.size]).toEqual([0, 0]);
  await pull(metadata, "a", ["one", "two"]);
  expect(await kinds(metadata)).toEqual([]);
});
