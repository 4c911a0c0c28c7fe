import { canFollow, writeBlob } from "@varve/content";
import { openMetadata } from "@varve/metadata";
import { join } from "node:path";
import { expect, test } from "vitest";
import { read, sample, sql, store } from "./blobs.ts";
import { FakeContent } from "./fake-content.ts";
import { list, newWorld, openIn, tempDir } from "./temp.ts";

const blob = sample("a blob");
const another = sample("another blob");

test("a blob is recorded with size, times and labels, and read from the store below", async () => {
  await using world = await newWorld();
  const { content } = world.one;
  const before = Date.now();
  await store(content, blob, { a: "1" });
  const info = await content.info(blob.digest);
  expect(info).toMatchObject({ digest: blob.digest, size: blob.size, labels: { a: "1" } });
  expect(info.createdAt.getTime()).toBeGreaterThanOrEqual(before);
  expect(await list(content.walk())).toEqual([info]);
  expect(await read(content, blob)).toEqual(blob.bytes);
});

// U-MD.1
test("a namespace knows only the blobs and ingests that are its own", async () => {
  await using world = await newWorld();
  const two = world.metadata.namespace("two").content;
  await store(world.one.content, blob);
  await (await world.one.content.writer("r")).close();
  const missing = { code: "ERR_NOT_FOUND", message: `content ${blob.digest}: not found` };
  await expect(two.info(blob.digest)).rejects.toMatchObject(missing);
  await expect(two.open(blob.descriptor)).rejects.toMatchObject(missing);
  await expect(two.delete(blob.digest)).rejects.toMatchObject(missing);
  await expect(two.label(blob.digest, { a: "1" })).rejects.toMatchObject(missing);
  expect(await list(two.walk())).toEqual([]);
  expect(await list(two.statuses())).toEqual([]);
  await expect(two.status("r")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  await expect(two.abort("r")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  expect((await list(world.one.content.statuses())).map(({ ref }) => ref)).toEqual(["r"]);
});

test("one ref in two namespaces is two ingests", async () => {
  await using world = await newWorld();
  const two = world.metadata.namespace("two").content;
  const [a, b] = [await world.one.content.writer("r"), await two.writer("r")];
  await a.write(blob.bytes);
  await b.write(another.bytes);
  expect([a.status().ref, a.status().offset, b.status().offset]).toEqual(["r", blob.size, another.size]);
  await two.abort("r");
  await a.commit(blob);
  expect((await list(world.one.content.walk())).map(({ digest }) => digest)).toEqual([blob.digest]);
});

// S3.12 (d), S3.13
test("a commit that finds its blob stored adds its labels, and still says so", async () => {
  await using world = await newWorld();
  const { content } = world.one;
  await store(content, blob, { a: "1", b: "2" });
  const writer = await content.writer("again");
  await writer.write(blob.bytes);
  const again = writer.commit({}, { labels: { b: "two", c: "3" } });
  await expect(again).rejects.toMatchObject({ code: "ERR_ALREADY_EXISTS" });
  expect((await content.info(blob.digest)).labels).toEqual({ a: "1", b: "two", c: "3" });
  expect(await list(content.statuses())).toEqual([]);
});

// U-MD.2
test("a label that is too long is refused before the blob is committed", async () => {
  await using world = await newWorld();
  const writer = await world.one.content.writer("r");
  await writer.write(blob.bytes);
  const commit = writer.commit({}, { labels: { long: "x".repeat(4096) } });
  await expect(commit).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  expect(world.content.blobs.size).toBe(0);
  expect(await world.one.content.status("r")).toMatchObject({ offset: blob.size });
});

// U-LCS.4, C-CS.11
test("labels are changed by name, or replaced as a whole", async () => {
  await using world = await newWorld();
  const { content } = world.one;
  await store(content, blob, { a: "1", b: "2" });
  const changed = await content.label(blob.digest, { a: undefined, c: "3" });
  expect(changed.labels).toEqual({ b: "2", c: "3" });
  expect((await content.label(blob.digest, { d: "4", e: undefined }, { replace: true })).labels).toEqual({ d: "4" });
  const info = await content.info(blob.digest);
  expect(info.labels).toEqual({ d: "4" });
  expect(info.createdAt).toEqual(changed.createdAt);
});

// U-MD.3
test("labels of one blob in two namespaces are apart", async () => {
  await using world = await newWorld();
  const two = world.metadata.namespace("two").content;
  await store(world.one.content, blob, { a: "1" });
  await store(two, blob, { b: "2" });
  await two.label(blob.digest, { c: "3" });
  expect((await world.one.content.info(blob.digest)).labels).toEqual({ a: "1" });
  expect((await two.info(blob.digest)).labels).toEqual({ b: "2", c: "3" });
});

// C-CH.29, U-LCS.15
test("blobs are filtered by digest, size and labels, ingests by their ref", async () => {
  await using world = await newWorld();
  const { content } = world.one;
  await store(content, blob, { a: "1" });
  await store(content, another);
  for (const ref of ["layer-1", "layer-2", "config-1"]) await (await content.writer(ref)).close();
  const blobs = async (...filters: string[]): Promise<number> => (await list(content.walk({ filters }))).length;
  expect(await blobs(`digest==${blob.digest}`)).toBe(1);
  expect(await blobs(`size==${another.size}`, "labels.a")).toBe(2);
  expect(await blobs("labels.a==2")).toBe(0);
  const refs = (await list(content.statuses({ filters: ["ref~=^layer-"] }))).map(({ ref }) => ref);
  expect(refs.toSorted()).toEqual(["layer-1", "layer-2"]);
  await expect(blobs("size>1")).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
});

// K07
test("labels of a blob that was deleted do not come back with it, and it can be stored again", async () => {
  await using world = await newWorld();
  const { content } = world.one;
  await store(content, blob, { a: "1" });
  await content.delete(blob.digest);
  await expect(content.delete(blob.digest)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  await store(content, blob);
  expect((await content.info(blob.digest)).labels).toEqual({});
});

// U-CS.3
test("an ingest shows its ref, what is expected and how far it is", async () => {
  await using world = await newWorld();
  const { content } = world.one;
  const writer = await content.writer("r", { expected: blob });
  await writer.write(blob.bytes.subarray(0, 2));
  const status = { ref: "r", offset: 2, total: blob.size, expected: blob.digest };
  expect(writer.status()).toMatchObject(status);
  expect(await content.status("r")).toMatchObject(status);
  expect(await writer.digest()).toBe(sample("a ").digest);
  await expect(content.writer("r")).rejects.toMatchObject({ code: "ERR_UNAVAILABLE" });
  await expect(content.writer("")).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
});

// P07: somebody has removed the file
test("a blob whose bytes are gone says that they are lost, and can be brought again", async () => {
  await using world = await newWorld();
  const { content } = world.one;
  await store(content, blob, { a: "1" });
  world.content.blobs.clear();
  await expect(content.open(blob.descriptor)).rejects.toMatchObject({ code: "ERR_DATA_LOSS" });
  await store(content, blob);
  expect(await read(content, blob)).toEqual(blob.bytes);
  expect((await content.info(blob.digest)).labels).toEqual({ a: "1" });
});

test("the content can be followed exactly if the store below can", async () => {
  await using temp = await tempDir();
  await using metadata = await openIn(temp);
  const { content } = metadata.namespace("one");
  expect(canFollow(content)).toBe(true);
  const writer = await content.writer("r");
  const followed = list(content.follow("r"));
  await writer.write(blob.bytes);
  await writer.commit();
  expect(Buffer.concat(await followed)).toEqual(Buffer.from(blob.bytes));
  const plain = Object.assign(new FakeContent(), { follow: undefined });
  await using other = await openMetadata({ path: join(temp.path, "other.db"), content: plain, durability: "none" });
  expect(canFollow(other.namespace("one").content)).toBe(false);
});

test("closing the content of a namespace closes its writers, and nothing below", async () => {
  await using world = await newWorld();
  const { content } = world.one;
  const writer = await content.writer("r");
  await content.close();
  await content.close();
  await expect(writer.write(blob.bytes)).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
  await expect(content.info(blob.digest)).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
  await expect(list(content.walk())).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
  expect(world.content.closed).toBe(0);
  await store(world.metadata.namespace("one").content, blob);
});

// C-MD.13
test("every call after the metadata was closed fails as such, and nothing below is closed", async () => {
  await using world = await newWorld();
  const { content, images, leases } = world.one;
  await world.metadata.close();
  await world.metadata.close();
  const calls = [
    () => content.writer("r"),
    () => content.info(blob.digest),
    () => content.open(blob.descriptor),
    () => content.status("r"),
    () => content.abort("r"),
    () => list(content.statuses()),
    () => list(content.walk()),
    () => list(content.follow("r")),
    () => content.delete(blob.digest),
    () => content.label(blob.digest, {}),
    () => images.get("a"),
    () => list(images.list()),
    () => images.delete("a"),
    () => leases.create(),
    () => list(leases.resources("a")),
    () => world.metadata.namespaces.create("a"),
  ];
  for (const call of calls) await expect(call()).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
  expect(world.content.closed).toBe(0);
});

test("what could not be begun below leaves no record of an ingest", async () => {
  await using world = await newWorld();
  const failure = Object.assign(new Error("no room"), { code: "ENOSPC" });
  world.content.before = (call) => {
    if (call === "writer") throw failure;
  };
  await expect(writeBlob(world.one.content, "r", blob.bytes)).rejects.toBe(failure);
  expect(sql(world.path, "SELECT * FROM ingests")).toEqual([]);
});
