import { digestOf } from "@varve/digest";
import type { Writer } from "@varve/content";
import { expect, test } from "vitest";
import { read, sample, sql, store } from "./blobs.ts";
import { list, newWorld } from "./temp.ts";
import type { World } from "./temp.ts";

const blob = sample("a blob that two want");
const longer = sample("a blob that two want, and then some");
const shareable = "containerd.io/namespace.shareable";

/** Where namespace one has the blob, a writer of namespace two for it. */
async function secondWriter(
  world: World,
  expected: { digest?: typeof blob.digest; size?: number } = blob,
): Promise<Writer> {
  await store(world.one.content, blob);
  return world.metadata.namespace("two").content.writer("r", { expected });
}

// U-MD.3, C-NS.2
test("a namespace gets a blob that another has without bringing its bytes", async () => {
  await using world = await newWorld();
  const { content } = world.metadata.namespace("two");
  const writer = await secondWriter(world);
  expect(writer.status()).toMatchObject({ ref: "r", offset: blob.size, total: blob.size, expected: blob.digest });
  expect(await writer.digest()).toBe(blob.digest);
  await expect(content.info(blob.digest)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  expect(await writer.commit(blob, { labels: { a: "1" } })).toBe(blob.digest);
  expect(await content.info(blob.digest)).toMatchObject({ size: blob.size, labels: { a: "1" } });
  expect((await world.one.content.info(blob.digest)).labels).toEqual({});
  expect(await read(content, blob)).toEqual(blob.bytes);
  expect(world.content.ingests.size).toBe(0);
  expect(sql(world.path, "SELECT * FROM ingests")).toEqual([]);
});

// U-MD.5, C-NS.1
test("what is written beyond a shared blob makes another blob, and leaves the first as it is", async () => {
  await using world = await newWorld();
  const { content } = world.metadata.namespace("two");
  const writer = await secondWriter(world);
  await writer.write(longer.bytes.subarray(blob.size));
  expect(writer.status()).toMatchObject({ ref: "r", offset: longer.size });
  expect(await writer.digest()).toBe(longer.digest);
  expect(await content.status("r")).toMatchObject({ offset: longer.size });
  expect(await writer.commit(longer)).toBe(longer.digest);
  expect(await read(content, longer)).toEqual(longer.bytes);
  await expect(content.info(blob.digest)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  expect(await read(world.one.content, blob)).toEqual(blob.bytes);
});

test("a shared blob is held against what its commit expects", async () => {
  await using world = await newWorld();
  const { content } = world.metadata.namespace("two");
  const wrongSize = (await secondWriter(world)).commit({ size: 1 });
  await expect(wrongSize).rejects.toMatchObject({ code: "ERR_DIGEST_MISMATCH" });
  const wrongDigest = (await content.writer("r", { expected: blob })).commit({ digest: longer.digest });
  await expect(wrongDigest).rejects.toMatchObject({ code: "ERR_DIGEST_MISMATCH" });
  await expect(content.info(blob.digest)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  // The same bytes under another name (U-LCS.9).
  const sha512 = digestOf(blob.bytes, "sha512");
  const writer = await content.writer("r", { expected: blob });
  expect(await writer.commit({ digest: sha512 })).toBe(sha512);
  expect(await content.info(sha512)).toMatchObject({ size: blob.size });
});

test("a shared blob that is truncated is begun anew", async () => {
  await using world = await newWorld();
  const { content } = world.metadata.namespace("two");
  const writer = await secondWriter(world);
  await writer.truncate();
  expect(writer.status().offset).toBe(0);
  await writer.write(longer.bytes);
  await writer.commit(longer);
  expect(await read(content, longer)).toEqual(longer.bytes);
});

test("a writer that shares and is given up leaves nothing, and does nothing more", async () => {
  await using world = await newWorld();
  const { content } = world.metadata.namespace("two");
  const writer = await secondWriter(world);
  await writer.close();
  await writer.close();
  await expect(writer.write(blob.bytes)).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
  await expect(writer.commit()).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
  expect(await list(content.walk())).toEqual([]);
  expect(sql(world.path, "SELECT * FROM ingests")).toEqual([]);
  const again = await content.writer("r", { expected: blob });
  await expect(again.commit(blob, { labels: { long: "x".repeat(4096) } })).rejects.toMatchObject({
    code: "ERR_INVALID_ARGUMENT",
  });
});

test("of two that share one blob the second is told that it exists", async () => {
  await using world = await newWorld();
  const { content } = world.metadata.namespace("two");
  const [a, b] = [await secondWriter(world), await content.writer("r", { expected: blob })];
  await a.commit(blob, { labels: { a: "1" } });
  const second = b.commit(blob, { labels: { b: "2" } });
  await expect(second).rejects.toMatchObject({ code: "ERR_ALREADY_EXISTS" });
  expect((await content.info(blob.digest)).labels).toEqual({ a: "1", b: "2" });
});

// The collector ran in between, long after the record that keeps the blob was forgotten.
test("a shared blob that is gone before the commit is to be asked for again", async () => {
  await using world = await newWorld();
  const writer = await secondWriter(world);
  await world.one.content.delete(blob.digest);
  sql(world.path, "DELETE FROM ingests");
  await expect(writer.commit(blob)).rejects.toMatchObject({ code: "ERR_UNAVAILABLE" });
  const next = await world.metadata.namespace("two").content.writer("r", { expected: blob });
  expect(next.status().offset).toBe(0);
});

// U-MD.7
test("a shared blob that its other owner deletes is kept for who is about to have it", async () => {
  await using world = await newWorld();
  const writer = await secondWriter(world);
  await world.one.content.delete(blob.digest);
  expect(sql(world.path, "SELECT expected FROM ingests")).toEqual([{ expected: blob.digest }]);
  await writer.commit(blob);
  expect(await read(world.metadata.namespace("two").content, blob)).toEqual(blob.bytes);
});

test("a blob of another size than is expected is not shared", async () => {
  await using world = await newWorld();
  const writer = await secondWriter(world, { digest: blob.digest, size: blob.size + 1 });
  expect(writer.status().offset).toBe(0);
  await writer.write(blob.bytes);
  await expect(writer.commit()).rejects.toMatchObject({ code: "ERR_DIGEST_MISMATCH" });
});

// U-MD.4, C-NS.3
test("isolated namespaces bring the bytes themselves, and are not told that others have them", async () => {
  await using world = await newWorld({ sharing: "isolated" });
  const { content } = world.metadata.namespace("two");
  const writer = await secondWriter(world);
  expect(writer.status()).toMatchObject({ offset: 0, total: blob.size, expected: blob.digest });
  expect(await writer.digest()).toBe(digestOf(""));
  await expect(writer.commit(blob)).rejects.toMatchObject({ code: "ERR_DIGEST_MISMATCH" });
  await expect(content.info(blob.digest)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  const next = await content.writer("r", { expected: blob });
  await next.write(blob.bytes);
  expect(await next.commit(blob)).toBe(blob.digest);
  expect(await content.info(blob.digest)).toMatchObject({ size: blob.size });
});

// U-MD.4, C-NS.4
test("a shareable namespace shares with isolated ones, and not the other way round", async () => {
  await using world = await newWorld({ sharing: "isolated" });
  await world.metadata.namespaces.create("one", { labels: { [shareable]: "true" } });
  const writer = await secondWriter(world);
  expect(writer.status().offset).toBe(blob.size);
  await writer.commit(blob);
  const two = world.metadata.namespace("two").content;
  await store(two, longer);
  const back = await world.one.content.writer("r", { expected: longer });
  expect(back.status().offset).toBe(0);
});

test("a namespace shares only if its label says true", async () => {
  await using world = await newWorld({ sharing: "isolated" });
  await world.metadata.namespaces.create("one", { labels: { [shareable]: "false" } });
  expect((await secondWriter(world)).status().offset).toBe(0);
});

// U-MD.6, C-MD.2
test("a lease holds the blobs that are written under it, and those that were there", async () => {
  await using world = await newWorld();
  const two = world.metadata.namespace("two");
  await two.leases.create({ id: "pull" });
  const held = async (): Promise<string[]> => (await list(two.leases.resources("pull"))).map(({ id }) => id);
  await store(two.content, blob);
  expect(await held()).toEqual([]);
  const leased = two.under("pull").content;
  await expect(leased.writer("r", { expected: blob })).rejects.toMatchObject({ code: "ERR_ALREADY_EXISTS" });
  expect(await held()).toEqual([blob.digest]);
  await store(leased, longer);
  expect((await held()).toSorted()).toEqual([blob.digest, longer.digest].toSorted());
  const shared = sample("shared from the other");
  await store(world.one.content, shared);
  await (await leased.writer("s", { expected: shared })).commit(shared);
  expect(await held()).toContain(shared.digest);
  expect(await held()).toHaveLength(3);
});

// C-MD.3, U-MD.8
test("a lease holds an ingest until it is a blob, and then the blob", async () => {
  await using world = await newWorld();
  await world.one.leases.create({ id: "pull" });
  const { content } = world.one.under("pull");
  const writer = await content.writer("r");
  await writer.write(blob.bytes);
  expect(await list(world.one.leases.resources("pull"))).toEqual([{ type: "ingest", id: "r" }]);
  await writer.commit();
  expect(await list(world.one.leases.resources("pull"))).toEqual([{ type: "content", id: blob.digest }]);
  await (await content.writer("dropped")).close();
  expect(await list(world.one.leases.resources("pull"))).toHaveLength(2);
  await content.abort("dropped");
  expect(await list(world.one.leases.resources("pull"))).toHaveLength(1);
});

// U-MD.8
test("a blob is held by every lease that held its ingest", async () => {
  await using world = await newWorld();
  await world.one.leases.create({ id: "a" });
  await world.one.leases.create({ id: "b" });
  await (await world.one.under("a").content.writer("r")).close();
  const writer = await world.one.under("b").content.writer("r");
  await writer.write(blob.bytes);
  await writer.commit();
  for (const id of ["a", "b"]) {
    expect(await list(world.one.leases.resources(id))).toEqual([{ type: "content", id: blob.digest }]);
  }
});

test("nothing is begun or committed under a lease that is gone", async () => {
  await using world = await newWorld();
  await expect(world.one.under("gone").content.writer("r")).rejects.toMatchObject({
    code: "ERR_NOT_FOUND",
    message: "lease gone: not found",
  });
  await world.one.leases.create({ id: "going" });
  const writer = await world.one.under("going").content.writer("r");
  await writer.write(blob.bytes);
  await world.one.leases.delete("going");
  await expect(writer.commit()).rejects.toMatchObject({ message: "lease going: not found" });
  await expect(world.one.content.info(blob.digest)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
});
