import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openMetadata } from "@varve/metadata";
import { labelTarget } from "@varve/snapshots";
import { CodedError } from "@varve/errors";
import { digestOf } from "@varve/digest";
import { expect, test } from "vitest";
import { index, pull, store } from "./check-material.ts";
import { FakeSnapshotter } from "./fake-snapshotter.ts";
import { killOwners, openOver, sql } from "./snapshot-store.ts";
import { StoredContent } from "./stored-content.ts";
import { tempDir } from "./temp.ts";

function flip(content: StoredContent, digest: ReturnType<typeof digestOf>): void {
  const bytes = new Uint8Array(content.find(digest));
  bytes[0] = (bytes[0] ?? 0) ^ 1;
  content.blobs.set(digest, bytes);
}

test("a whole store has no problems, and the report says what was looked at", async () => {
  await using temp = await tempDir();
  const content = new StoredContent();
  await using metadata = await openOver(temp.path, new FakeSnapshotter(), content);
  const image = await pull(metadata, "a", ["one", "two"]);
  await index(metadata.namespace("default"), "an index", [image.target]);
  await pull(metadata, "a", ["one", "two"], "other");
  const seen: number[] = [];
  const total = [...content.blobs.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
  const report = await metadata.check({
    onProgress: (progress) => {
      expect(progress.total).toBe(total);
      seen.push(progress.bytes);
    },
  });
  expect(report).toMatchObject({ problems: [], blobs: 5, snapshots: 4, images: 3, bytes: total });
  expect(seen).toHaveLength(5);
  expect(seen.at(-1)).toBe(total);
});

// G-12, F11, promise 4
test.each([
  ["a flipped bit", (bytes: Uint8Array) => bytes.with(0, 255)],
  ["a byte too few", (bytes: Uint8Array) => bytes.slice(1)],
  ["zeros", (bytes: Uint8Array) => new Uint8Array(bytes.byteLength)],
])("%s in a layer is found, with the digest of what is there and the images that need it", async (_, damage) => {
  await using temp = await tempDir();
  const content = new StoredContent();
  await using metadata = await openOver(temp.path, new FakeSnapshotter(), content);
  const image = await pull(metadata, "b", ["one", "two"]);
  await pull(metadata, "a", ["one"]);
  await pull(metadata, "another", ["three"]);
  const [layer] = image.layers;
  if (layer === undefined) throw new Error("no layer");
  const bytes = damage(content.find(layer));
  content.blobs.set(layer, bytes);
  const { problems } = await metadata.check();
  expect(problems).toEqual([
    {
      kind: "damaged",
      item: { namespace: "default", type: "content", id: layer },
      message: `content ${layer}: its ${bytes.byteLength} bytes have digest ${digestOf(bytes)}`,
      actual: digestOf(bytes),
      images: ["a", "b"],
    },
  ]);
});

test("a large blob is read in pieces of 256 KiB", async () => {
  await using temp = await tempDir();
  const content = new StoredContent();
  await using metadata = await openOver(temp.path, new FakeSnapshotter(), content);
  await store(metadata.namespace("default"), new Uint8Array(3_000_000), "application/octet-stream");
  expect(await metadata.check()).toMatchObject({ problems: [], bytes: 3_000_000 });
  expect(content.largestRead).toBe(256 * 1024);
});

// F06
test("a blob that cannot be read is damaged, and any other failure ends the check", async () => {
  await using temp = await tempDir();
  const content = new StoredContent();
  await using metadata = await openOver(temp.path, new FakeSnapshotter(), content);
  const image = await pull(metadata, "a", ["one"]);
  const broken = Object.assign(new Error("EIO: i/o error, read"), { code: "EIO" });
  content.unreadable.set(image.manifest, broken);
  const { problems } = await metadata.check();
  expect(problems).toMatchObject([
    { kind: "damaged", item: { id: image.manifest }, message: expect.stringContaining("EIO"), images: ["a"] },
  ]);
  content.unreadable.set(image.manifest, Object.assign(new Error("EMFILE"), { code: "EMFILE" }));
  await expect(metadata.check()).rejects.toMatchObject({ code: "EMFILE" });
});

test("without reading contents a wrong size is found, a flipped bit only in the documents of an image", async () => {
  await using temp = await tempDir();
  const content = new StoredContent();
  await using metadata = await openOver(temp.path, new FakeSnapshotter(), content);
  const image = await pull(metadata, "a", ["one", "two", "three"]);
  const [one, two] = image.layers;
  if (one === undefined || two === undefined) throw new Error("no layers");
  content.blobs.set(one, content.find(one).slice(1));
  flip(content, two);
  flip(content, image.manifest);
  const { problems, bytes } = await metadata.check({ contents: false });
  expect(bytes).toBe(0);
  expect(problems.map(({ kind, item }) => [kind, item.id])).toEqual([
    ["damaged", one],
    ["damaged", image.manifest],
  ]);
});

// G-12
test("a record without its blob is missing in each namespace, and makes images incomplete", async () => {
  await using temp = await tempDir();
  const content = new StoredContent();
  await using metadata = await openOver(temp.path, new FakeSnapshotter(), content);
  const image = await pull(metadata, "a", ["one", "two"]);
  await pull(metadata, "z", ["one", "two"], "other");
  const [, layer] = image.layers;
  if (layer === undefined) throw new Error("no layer");
  content.blobs.delete(layer);
  const { problems } = await metadata.check();
  expect(problems.map(({ kind, item, images, message }) => ({ kind, item, images, message }))).toEqual([
    {
      kind: "missing",
      item: { namespace: "default", type: "content", id: layer },
      images: ["a"],
      message: `content ${layer}: is recorded in namespace default, but not stored`,
    },
    {
      kind: "missing",
      item: { namespace: "other", type: "content", id: layer },
      images: ["z"],
      message: `content ${layer}: is recorded in namespace other, but not stored`,
    },
    {
      kind: "incomplete",
      item: { namespace: "default", type: "image", id: "a" },
      images: ["a"],
      message: `image a: misses ${layer}`,
    },
    {
      kind: "incomplete",
      item: { namespace: "other", type: "image", id: "z" },
      images: ["z"],
      message: `image z: misses ${layer}`,
    },
  ]);
});

test("of an index one complete manifest is enough, but a manifest that is there needs all its layers", async () => {
  await using temp = await tempDir();
  await using metadata = await openOver(temp.path, new FakeSnapshotter(), new StoredContent());
  const namespace = metadata.namespace("default");
  const [one, two] = [await pull(metadata, "one", ["one"]), await pull(metadata, "two", ["two", "three"])];
  await index(namespace, "with both", [one.target, two.target]);
  await index(namespace, "with none", []);
  const kinds = async (): Promise<unknown[]> =>
    (await metadata.check()).problems.filter(({ kind }) => kind === "incomplete").map(({ item }) => item.id);
  expect(await kinds()).toEqual(["with none"]);
  for (const layer of two.layers) await namespace.content.delete(layer);
  expect(await kinds()).toEqual(["two", "with both", "with none"]);
});

test("an image whose manifest is whole but malformed is incomplete, and the message says why", async () => {
  await using temp = await tempDir();
  await using metadata = await openOver(temp.path, new FakeSnapshotter(), new StoredContent());
  const namespace = metadata.namespace("default");
  const target = await store(namespace, "not a manifest", "application/vnd.oci.image.manifest.v1+json");
  await namespace.images.put({ name: "odd", target });
  const { problems } = await metadata.check();
  expect(problems).toMatchObject([
    { kind: "incomplete", images: ["odd"], message: expect.stringContaining(target.digest) },
  ]);
});

// F12: as far as records go
test("a snapshot that was there and is gone is missing, with the images that were unpacked to it", async () => {
  await using temp = await tempDir();
  const backend = new FakeSnapshotter();
  await using metadata = await openOver(temp.path, backend, new StoredContent());
  const image = await pull(metadata, "a", ["one", "two"]);
  await pull(metadata, "b", ["one"]);
  const [, top] = image.chain;
  for (const name of backend.entries.keys()) if (top !== undefined && name.endsWith(top)) backend.entries.delete(name);
  expect((await metadata.check()).problems).toEqual([
    {
      kind: "missing",
      item: { namespace: "default", type: "snapshot", snapshotter: "fake", id: top },
      message: `snapshot ${top}: is recorded in namespace default, but snapshotter fake does not have it`,
      images: ["a"],
    },
  ]);
});

test("blobs, ingests and snapshots without a record are orphaned", async () => {
  await using temp = await tempDir();
  const backend = new FakeSnapshotter();
  const content = new StoredContent();
  await using metadata = await openOver(temp.path, backend, content);
  await pull(metadata, "a", ["one"]);
  const orphan = digestOf("nobody's");
  content.blobs.set(orphan, Buffer.from("nobody's"));
  content.ingests.set("default/some/ref", []);
  await backend.prepare("default/99/key", undefined);
  const { problems } = await metadata.check();
  expect(problems.map(({ kind, item }) => ({ kind, ...item }))).toEqual([
    { kind: "orphaned", namespace: "", type: "content", id: orphan },
    { kind: "orphaned", namespace: "default", type: "ingest", id: "some/ref" },
    { kind: "orphaned", namespace: "", type: "snapshot", snapshotter: "fake", id: "default/99/key" },
  ]);
});

test("what others are working on is no problem", async () => {
  await using temp = await tempDir();
  const backend = new FakeSnapshotter();
  const content = new StoredContent();
  await using metadata = await openOver(temp.path, backend, content);
  const namespace = metadata.namespace("default");
  const snapshotter = await namespace.snapshotter("fake");
  // A blob that is committed below, and whose record comes next.
  const digest = digestOf("coming");
  await using writer = await namespace.content.writer("a ref", { expected: { digest } });
  await writer.write(Buffer.from("coming"));
  content.blobs.set(digest, Buffer.from("coming"));
  // A snapshot whose record is made, and which comes next.
  const reached = Promise.withResolvers<void>();
  const going = Promise.withResolvers<void>();
  backend.before.set("prepare", () => {
    reached.resolve();
    return going.promise;
  });
  const preparing = snapshotter.prepare("key", undefined, { labels: { [labelTarget]: "t" } });
  await reached.promise;
  expect((await metadata.check()).problems).toEqual([]);
  // Were it killed now, it is the collector's.
  killOwners(temp.path);
  expect((await metadata.check()).problems).toEqual([]);
  going.resolve();
  await preparing;
});

test("a check ends with the reason of the signal", async () => {
  await using temp = await tempDir();
  await using metadata = await openOver(temp.path, new FakeSnapshotter(), new StoredContent());
  await pull(metadata, "a", ["one"]);
  const reason = new Error("enough");
  await expect(metadata.check({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  const controller = new AbortController();
  const onProgress = (): void => controller.abort(reason);
  await expect(metadata.check({ signal: controller.signal, onProgress })).rejects.toBe(reason);
});

// P07
test("a database that is damaged is said to be", async () => {
  await using temp = await tempDir();
  await using metadata = await openOver(temp.path, new FakeSnapshotter(), new StoredContent());
  await pull(metadata, "a", ["one"]);
  sql(temp.path, 'UPDATE images SET target = \'{"digest":"none"}\'');
  await expect(metadata.check()).rejects.toMatchObject({ code: "ERR_DATA_LOSS" });
  await expect(metadata.repair()).rejects.toMatchObject({ code: "ERR_DATA_LOSS" });
});

// P07
test.each([512, 4096])("a database whose last %i bytes were lost is said to be damaged", async (lost) => {
  await using temp = await tempDir();
  const content = new StoredContent();
  const before = await openOver(temp.path, new FakeSnapshotter(), content);
  for (let image = 0; image < 40; image += 1) await pull(before, `image ${image}`, [`layer ${image}`]);
  await before.close();
  const path = join(temp.path, "metadata.db");
  const bytes = await readFile(path);
  await writeFile(path, bytes.fill(0, bytes.byteLength - lost));
  const check = async (): Promise<void> => {
    await using metadata = await openOver(temp.path, new FakeSnapshotter(), content);
    await metadata.check();
  };
  await expect(check()).rejects.toMatchObject({ code: "ERR_DATA_LOSS", message: expect.stringContaining("damaged") });
});

test("a snapshotter that cannot be opened here is left out", async () => {
  await using temp = await tempDir();
  const metadata = await openOver(temp.path, new FakeSnapshotter(), new StoredContent());
  await pull(metadata, "a", ["one"]);
  await metadata.close();
  const failing = new CodedError("ERR_NOT_IMPLEMENTED", "no overlay here");
  const content = new StoredContent();
  await using again = await openMetadata({
    path: join(temp.path, "metadata.db"),
    content,
    snapshotters: { used: async () => ["fake"], get: () => Promise.reject(failing) },
  });
  const { problems } = await again.check();
  expect(problems.filter(({ item }) => item.type === "snapshot")).toEqual([]);
});

// F12: as far as records go
test("snapshots are missing also when their snapshotter is not in use any more", async () => {
  await using temp = await tempDir();
  const content = new StoredContent();
  const metadata = await openOver(temp.path, new FakeSnapshotter(), content);
  const image = await pull(metadata, "a", ["one"]);
  await metadata.close();
  await using again = await openMetadata({
    path: join(temp.path, "metadata.db"),
    content,
    snapshotters: { used: async () => [], get: async () => new FakeSnapshotter() },
  });
  expect((await again.check()).problems.map(({ kind, item }) => [kind, item.id])).toEqual([
    ["missing", image.chain[0]],
  ]);
});

test("everything else has its turn while a large blob is hashed", async () => {
  await using temp = await tempDir();
  const content = new StoredContent();
  await using metadata = await openOver(temp.path, new FakeSnapshotter(), content);
  await store(metadata.namespace("default"), new Uint8Array(50_000_000), "application/octet-stream");
  let turns = 0;
  let checking = true;
  const count = (): void => {
    turns += 1;
    if (checking) setImmediate(count);
  };
  setImmediate(count);
  await metadata.check();
  checking = false;
  // Hashing takes 20 ms at the least, and each 5 ms it makes way.
  expect(turns).toBeGreaterThan(2);
});
