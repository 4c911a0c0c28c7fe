import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { putImage, startRegistry } from "@varve-tools/test-registry";
import { openClient } from "@varve/client";
import type { Client, OpenClientOptions } from "@varve/client";
import { readBlob, writeBlob } from "@varve/content";
import { hasCode } from "@varve/errors";
import { parseManifest } from "@varve/oci";
import { expect, test } from "vitest";
import { tempDirectory } from "./temp.ts";

const twoLayers = [{ "etc/base": "base" }, { "etc/top": "top" }];

function open(root: string, options: OpenClientOptions = {}): Promise<Client> {
  return openClient({ root, snapshotter: "native", durability: "none", ...options });
}

async function digests(client: Client): Promise<string[]> {
  return (await Array.fromAsync(client.content.walk())).map(({ digest }) => digest).toSorted();
}

async function snapshots(client: Client): Promise<string[]> {
  return (await Array.fromAsync((await client.snapshotter()).walk())).map(({ name }) => name).toSorted();
}

// G-39
test("an image can be fetched without being unpacked", async () => {
  await using registry = await startRegistry();
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const name = await registry.tag("app", await putImage(registry.content, twoLayers));
  const fetched = await client.fetch(name);
  expect(fetched).toMatchObject({ name, blobs: 4 });
  expect(await digests(client)).toHaveLength(4);
  expect(await snapshots(client)).toEqual([]);
  const again = await client.pull(name);
  expect(again.layers.map(({ status }) => status)).toEqual(["unpacked", "unpacked"]);
  expect([...registry.sent.values()]).toEqual([1, 1, 1]);
});

test("what no image needs goes, and usage tells of it before and after", async () => {
  await using registry = await startRegistry();
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const kept = await registry.tag("kept", await putImage(registry.content, twoLayers));
  const dropped = await registry.tag("dropped", await putImage(registry.content, [{ a: "a" }, { b: "b" }]));
  await client.pull(kept);
  const needed = await digests(client);
  const chain = await snapshots(client);
  await client.pull(dropped);
  expect(await client.gc()).toMatchObject({ removed: [], failed: [] });
  await client.images.delete(dropped);
  const before = await client.usage();
  expect(before.reclaimable.count).toBe(6);
  const { removed, bytes } = await client.gc();
  expect(bytes).toBe(before.reclaimable.bytes);
  expect(removed).toHaveLength(6);
  expect(await digests(client)).toEqual(needed);
  expect(await snapshots(client)).toEqual(chain);
  const after = await client.usage();
  expect(after).toMatchObject({ reclaimable: { count: 0, bytes: 0 }, content: { count: 4 }, ingests: { count: 0 } });
  expect(after.snapshots["native"]?.count).toBe(2);
});

// U-GC.8, G-44
test("a collection in the midst of a pull takes nothing of it, and the pull's lease ends with it", async () => {
  await using registry = await startRegistry();
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const name = await registry.tag("app", await putImage(registry.content, twoLayers));
  const leases = async (): Promise<unknown[]> => Array.fromAsync(client.leases.list());
  const runs: Promise<{ readonly removed: readonly unknown[] }>[] = [];
  const held: Promise<unknown[]>[] = [];
  const onProgress = (): void => {
    runs.push(client.gc());
    held.push(leases());
  };
  await client.pull(name, { onProgress });
  expect(runs.length).toBeGreaterThan(5);
  for (const { removed } of await Promise.all(runs)) expect(removed).toEqual([]);
  expect((await Promise.all(held)).some((list) => list.length === 1)).toBe(true);
  expect(await leases()).toEqual([]);
  expect(await digests(client)).toHaveLength(4);
});

// G-41
test("why something is kept is told from its root, and who asks for nothing that exists is told so", async () => {
  await using registry = await startRegistry();
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const manifest = await putImage(registry.content, twoLayers);
  const name = await registry.tag("app", manifest);
  const { chainId } = await client.pull(name);
  const { kept, path } = await client.why({ type: "snapshot", snapshotter: "native", id: chainId });
  expect(kept).toBe(true);
  expect(path.map(({ item }) => item.type)).toEqual(["image", "content", "content", "snapshot"]);
  expect(path[0]?.item.id).toBe(name);
  await expect(client.why({ type: "image", id: "nothing" })).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
});

// U-MD.3
test("another namespace has images of its own, and gets bytes that are there without a download", async () => {
  await using registry = await startRegistry();
  await using root = await tempDirectory();
  await using first = await open(root.path);
  await using second = await open(root.path, { namespace: "second" });
  const name = await registry.tag("app", await putImage(registry.content, twoLayers));
  await first.pull(name);
  expect([await digests(second), await Array.fromAsync(second.images.list())]).toEqual([[], []]);
  await second.pull(name);
  expect([...registry.sent.values()]).toEqual([1, 1, 1]);
  await first.images.delete(name);
  await first.gc();
  expect(await digests(first)).toEqual([]);
  expect(await digests(second)).toHaveLength(4);
  expect(await snapshots(second)).toHaveLength(2);
  expect(await first.check()).toMatchObject({ problems: [] });
});

// U-MD.10
test("who works on the stores under a lease keeps what is made, until the lease ends", async () => {
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const { id } = await client.leases.create();
  const writer = await client.under(id).content.writer("r");
  await writer.write(Buffer.from("mine"));
  const digest = await writer.commit();
  await (await client.under(id).snapshotter("native")).prepare("work", undefined);
  await client.gc();
  expect(await digests(client)).toEqual([digest]);
  expect(await snapshots(client)).toEqual(["work"]);
  await client.leases.delete(id);
  await client.gc();
  expect([await digests(client), await snapshots(client)]).toEqual([[], []]);
  await client.hold(async ({ content }) => {
    await writeBlob(content, "r", Buffer.from("mine"));
    await client.gc();
    expect(await digests(client)).toEqual([digest]);
  });
  await client.gc();
  expect(await digests(client)).toEqual([]);
});

// F11, G-11: the layer is stored, its snapshot is not
test("a stored layer that was damaged since is found when it is unpacked, and fetched anew by the next pull", async () => {
  await using registry = await startRegistry();
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const name = await registry.tag("app", await putImage(registry.content, [{ a: "a text of some length" }]));
  const { target } = await client.fetch(name);
  const [layer] = parseManifest(await readBlob(client.content, target), target).layers;
  await flipBit(join(root.path, "content/blobs", layer?.digest.replace(":", "/") ?? ""));
  const failure: unknown = await client.pull(name).catch((error: unknown) => error);
  expect(hasCode(failure, "ERR_DIGEST_MISMATCH"), String(failure)).toBe(true);
  expect(String(failure)).toContain(layer?.digest);
  await expect(client.pull(name)).resolves.toMatchObject({ layers: [{ status: "unpacked" }] });
  expect(await client.check()).toMatchObject({ problems: [] });
  expect((await client.usage()).quarantined.count).toBe(1);
});

async function flipBit(path: string): Promise<void> {
  const bytes = await readFile(path);
  const middle = bytes.length >> 1;
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  await chmod(path, 0o644);
  await writeFile(path, bytes);
}
