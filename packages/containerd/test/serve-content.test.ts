import { Code } from "@connectrpc/connect";
import type { BlobReader, ContentStore } from "@varve/content";
import { createMemoryContentStore } from "@varve/content-memory";
import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { expect, test } from "vitest";
import { startContentPeer } from "./serve-content-peer.ts";
import type { ContentPeer } from "./serve-content-peer.ts";

const missing = digestOf("missing");

async function store(content: ContentStore, bytes: Uint8Array, labels: Record<string, string> = {}): Promise<Digest> {
  const writer = await content.writer(`store ${digestOf(bytes)}`);
  await writer.write(bytes);
  return writer.commit({}, { labels });
}

async function read(
  { client }: ContentPeer,
  request: { readonly digest: string; readonly offset?: bigint; readonly size?: bigint },
): Promise<{ readonly bytes: Uint8Array; readonly offsets: readonly bigint[]; readonly largest: number }> {
  const messages = await Array.fromAsync(client.read(request));
  return {
    bytes: Buffer.concat(messages.map(({ data }) => data)),
    offsets: messages.map(({ offset }) => offset),
    largest: Math.max(0, ...messages.map(({ data }) => data.byteLength)),
  };
}

test("6.3: Info tells what the store knows, and Delete removes", async () => {
  const content = createMemoryContentStore();
  const digest = await store(content, Buffer.from("one"), { a: "b" });
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
      client.info({ digest }),
      client.delete({ digest }),
      client.update({ info: { digest } }),
      Array.fromAsync(client.read({ digest })),
    ]) {
      await expect(call).rejects.toMatchObject({ code: Code.InvalidArgument });
    }
  },
);

test("6.3, C-CS.11: Update replaces all labels, or changes those that the mask names", async () => {
  const content = createMemoryContentStore();
  const digest = await store(content, Buffer.from("one"), { a: "1", b: "2" });
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
  const digest = await store(content, Buffer.from("one"));
  const plain = only(content, ["open", "info", "walk", "delete", "writer", "status", "statuses", "abort"]);
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
    digests.push(await store(content, Buffer.from(`blob ${index}`), index < 3 ? { kind: "first" } : {}));
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
  for (let index = 0; index < 4; index += 1) await store(content, Buffer.from(`blob ${index}`), labels);
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

test("6.3: Read gives at most 1 MiB in a message, and offsets from where the read began", async () => {
  const content = createMemoryContentStore();
  const blob = Buffer.from(Array.from({ length: 2_621_440 }, (_, index) => index % 251));
  const digest = await store(content, blob);
  await using peer = await startContentPeer(content);
  const all = await read(peer, { digest });
  expect(digestOf(all.bytes)).toBe(digest);
  expect(all.offsets).toEqual([0n, 1_048_576n, 2_097_152n]);
  expect(all.largest).toBe(1_048_576);
  const part = await read(peer, { digest, offset: 1000n, size: 1_500_000n });
  expect(digestOf(part.bytes)).toBe(digestOf(blob.subarray(1000, 1_501_000)));
  expect(part.offsets).toEqual([0n, 1_048_576n]);
});

test.each([
  [{ offset: 2n }, "cdef"],
  [{ size: 2n }, "ab"],
  [{ offset: 2n, size: 2n }, "cd"],
  [{ offset: 4n, size: 9n }, "ef"],
  [{ offset: 2n, size: -1n }, "cdef"],
  [{ offset: -3n, size: 2n }, "ab"],
  [{ offset: 1n, size: 2n ** 63n - 1n }, "bcdef"],
  [{ offset: 6n }, ""],
  [{ offset: 6n, size: 1n }, ""],
])("6.3: a Read of %o is cut to what there is", async (range, expected) => {
  const content = createMemoryContentStore();
  const digest = await store(content, Buffer.from("abcdef"));
  await using peer = await startContentPeer(content);
  expect(Buffer.from((await read(peer, { digest, ...range })).bytes).toString()).toBe(expected);
});

test("6.3: a Read from after the end is OutOfRange, and that of a missing blob NotFound", async () => {
  const content = createMemoryContentStore();
  const digest = await store(content, Buffer.from("abcdef"));
  await using peer = await startContentPeer(content);
  for (const offset of [7n, 2n ** 63n - 1n]) {
    await expect(read(peer, { digest, offset })).rejects.toMatchObject({
      code: Code.OutOfRange,
      rawMessage: `content ${digest}: a read from byte ${offset}, of 6 bytes`,
    });
  }
  await expect(read(peer, { digest: missing })).rejects.toMatchObject({ code: Code.NotFound });
});

test("6.3: the blob is closed after each Read, also when its client stops or goes in the middle", async () => {
  const memory = createMemoryContentStore();
  const digest = await store(memory, new Uint8Array(64 << 20));
  let opened = 0;
  const open = new Set<BlobReader>();
  const content = only(memory, ["info"], {
    open: async (descriptor) => {
      const reader = await memory.open(descriptor);
      opened += 1;
      open.add(reader);
      const close = reader.close.bind(reader);
      reader.close = async () => {
        open.delete(reader);
        await close();
      };
      return reader;
    },
  });
  await using peer = await startContentPeer(content);
  const { client } = peer;
  await read(peer, { digest, size: 10n });
  await expect(read(peer, { digest, offset: 2n ** 40n })).rejects.toMatchObject({ code: Code.OutOfRange });
  const abort = new AbortController();
  for await (const { offset } of client.read({ digest })) if (offset > 0n) break;
  const cancelled = client.read({ digest }, { signal: abort.signal })[Symbol.asyncIterator]();
  await cancelled.next();
  abort.abort();
  await expect(cancelled.next()).rejects.toMatchObject({ code: Code.Canceled });
  const cut = client.read({ digest })[Symbol.asyncIterator]();
  await cut.next();
  peer.cut();
  await peer.idle();
  expect(opened).toBe(5);
  expect(open.size).toBe(0);
  expect(peer.faults).toEqual([]);
});

/** A store that has no more than that. */
function only(
  content: ContentStore,
  names: readonly (keyof ContentStore)[],
  more: Partial<ContentStore> = {},
): ContentStore {
  const methods = names.map((name) => [name, (content[name] as () => unknown).bind(content)] as const);
  return { ...Object.fromEntries(methods), ...more } as ContentStore;
}
