import { Code } from "@connectrpc/connect";
import { createMemoryContentStore } from "@varve/content-memory";
import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { expect, test } from "vitest";
import { startContentPeer } from "./serve-content-peer.ts";
import { storeBlob } from "./stored-blob.ts";
import { partOf } from "./watched-store.ts";

const missing = digestOf("missing");

test("6.3: Info tells what the store knows, and Delete removes", async () => {
  const content = createMemoryContentStore();
  const digest = await storeBlob(content, Buffer.from("one"), { a: "b" });
  await using peer = await startContentPeer(content);
  const { createdAt } = await content.info(digest);
  const { info } = await peer.client.info({ digest });
  expect(info).toMatchObject({ digest, size: 3n, labels: { a: "b" } });
  expect(info?.createdAt?.seconds).toBe(BigInt(Math.floor(createdAt.getTime() / 1000)));
  expect(info?.updatedAt).toBeDefined();
  await peer.client.delete({ digest });
  await expect(peer.client.info({ digest })).rejects.toMatchObject({
    code: Code.NotFound,
    rawMessage: `content ${digest}: not found`,
  });
  await expect(peer.client.delete({ digest })).rejects.toMatchObject({ code: Code.NotFound });
});

test.each(["", "sha256:12", "md5:d41d8cd98f00b204e9800998ecf8427e", "../../etc/passwd"])(
  "6.3: the digest %j is InvalidArgument everywhere",
  async (digest) => {
    await using peer = await startContentPeer(createMemoryContentStore());
    const { client } = peer;
    for (const call of [
      () => client.info({ digest }),
      () => client.delete({ digest }),
      () => client.update({ info: { digest } }),
      () => Array.fromAsync(client.read({ digest })),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: Code.InvalidArgument });
    }
  },
);

test("6.3, C-CS.11: Update replaces all labels, or changes those that the mask names", async () => {
  const content = createMemoryContentStore();
  const digest = await storeBlob(content, Buffer.from("one"), { a: "1", b: "2" });
  await using peer = await startContentPeer(content);
  const update = async (labels: Record<string, string>, paths?: string[]): Promise<unknown> =>
    (await peer.client.update({ info: { digest, labels }, ...(paths && { updateMask: { paths } }) })).info?.labels;
  expect(await update({ a: "3", c: "4" }, ["labels.a", "labels.b"])).toEqual({ a: "3" });
  expect(await update({ "d.e/f": "5" }, ["labels.d.e/f"])).toEqual({ a: "3", "d.e/f": "5" });
  expect(await update({ g: "6" }, ["labels"])).toEqual({ g: "6" });
  expect(await update({ h: "7" })).toEqual({ h: "7" });
  expect(await content.info(digest)).toMatchObject({ labels: { h: "7" } });
  await expect(update({}, ["size"])).rejects.toMatchObject({ code: Code.InvalidArgument });
  await expect(peer.client.update({})).rejects.toMatchObject({ code: Code.InvalidArgument });
  await expect(peer.client.update({ info: { digest: missing } })).rejects.toMatchObject({ code: Code.NotFound });
});

test("6.3: a store without labels answers Update with Unimplemented", async () => {
  const content = createMemoryContentStore();
  const digest = await storeBlob(content, Buffer.from("one"));
  const plain = partOf(content, ["open", "info", "walk", "delete", "writer", "status", "statuses", "abort"]);
  await using peer = await startContentPeer(plain);
  await expect(peer.client.update({ info: { digest, labels: { a: "b" } } })).rejects.toMatchObject({
    code: Code.Unimplemented,
  });
  expect(await peer.client.info({ digest })).toMatchObject({ info: { digest } });
});

test("6.3: List gives 100 blobs in a message, and only those that pass a filter", async () => {
  const content = createMemoryContentStore();
  await using peer = await startContentPeer(content);
  expect(await Array.fromAsync(peer.client.list({}))).toEqual([]);
  const digests: Digest[] = [];
  for (let index = 0; index < 250; index += 1) {
    digests.push(await storeBlob(content, Buffer.from(`blob ${index}`), index < 3 ? { kind: "first" } : {}));
  }
  const batches = await Array.fromAsync(peer.client.list({}));
  expect(batches.map(({ info }) => info.length)).toEqual([100, 100, 50]);
  expect(new Set(batches.flatMap(({ info }) => info.map(({ digest }) => digest)))).toEqual(new Set(digests));
  const filters = ["labels.kind==first", `digest==${digests[9]}`];
  const [found, ...more] = await Array.fromAsync(peer.client.list({ filters }));
  expect(found?.info.map(({ digest }) => digest)).toEqual([...digests.slice(0, 3), digests[9]]);
  expect(more).toEqual([]);
  await expect(Array.fromAsync(peer.client.list({ filters: ["labels.a=="] }))).rejects.toMatchObject({
    code: Code.InvalidArgument,
  });
});

test("6.3: blobs with many labels come in smaller messages", async () => {
  const content = createMemoryContentStore();
  const labels = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`label-${index}`, "x".repeat(4000)]));
  for (let index = 0; index < 4; index += 1) await storeBlob(content, Buffer.from(`blob ${index}`), labels);
  await using peer = await startContentPeer(content);
  const batches = await Array.fromAsync(peer.client.list({}));
  expect(batches.map(({ info }) => info.length)).toEqual([3, 1]);
});

test("6.3: Status and ListStatuses show ingests, and Abort ends them", async () => {
  const content = createMemoryContentStore();
  await using peer = await startContentPeer(content);
  const { client } = peer;
  const writer = await content.writer("default/3/a layer", { expected: { size: 9, digest: missing } });
  await writer.write(Buffer.from("one"));
  await writer.close();
  await (await content.writer("other")).close();
  const { status } = await client.status({ ref: "default/3/a layer" });
  expect(status).toMatchObject({ ref: "default/3/a layer", offset: 3n, total: 9n, expected: missing });
  expect(status?.startedAt).toBeDefined();
  expect(status?.updatedAt).toBeDefined();
  expect((await client.listStatuses({})).statuses.map(({ ref }) => ref).toSorted()).toEqual([
    "default/3/a layer",
    "other",
  ]);
  expect((await client.listStatuses({ filters: ["ref==other"] })).statuses).toMatchObject([
    { ref: "other", offset: 0n, total: 0n, expected: "" },
  ]);
  await client.abort({ ref: "other" });
  await expect(client.abort({ ref: "other" })).rejects.toMatchObject({ code: Code.NotFound });
  await expect(client.status({ ref: "other" })).rejects.toMatchObject({ code: Code.NotFound });
  await expect(client.listStatuses({ filters: ["=="] })).rejects.toMatchObject({ code: Code.InvalidArgument });
});
