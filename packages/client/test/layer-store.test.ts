import { readdir, readlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { chainIds, digestOf } from "@varve/digest";
import { expect, test } from "vitest";
import { collect, streamOf } from "./layer-bytes.ts";
import { base, held, layers, open, snapshots, top } from "./layer-store-scene.ts";
import { tempDirectory } from "./temp.ts";

/** Files below `root` that this process has open. */
async function openFiles(root: string): Promise<string[]> {
  const links = (await readdir("/proc/self/fd")).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ""));
  return (await Promise.all(links)).filter((path) => path.startsWith(root));
}

// C-LS.4, S1.60
test("the layer store of a client keeps layers from gc, until they are released, and gives their exact tars", async () => {
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const store = await client.layerStore();
  const below = await store.register(streamOf(gzipSync(base)));
  const above = await store.register(streamOf(top), { parent: below.chainId });
  const names = chainIds([digestOf(base), digestOf(top)]);
  expect([below.chainId, above.chainId]).toEqual(names);
  expect(await client.gc()).toMatchObject({ removed: [], failed: [] });
  expect(await snapshots(client)).toEqual(names.toSorted());
  // Nothing of what was under way is held any more.
  expect(await held(client)).toEqual(names.toSorted());
  await expect(collect(below.tarStream())).resolves.toEqual(base);
  await expect(collect(above.tarStream())).resolves.toEqual(top);
  expect(await held(client)).toEqual(names.toSorted());

  await expect(below.release()).resolves.toEqual([]);
  expect((await above.release()).map(({ chainId }) => chainId)).toEqual(names.toReversed());
  expect(await held(client)).toEqual([]);
  expect((await client.gc()).removed.map(({ type, id }) => `${type} ${id}`).toSorted()).toEqual(
    names.map((name) => `snapshot ${name}`).toSorted(),
  );
  expect(await snapshots(client)).toEqual([]);
});

test("all who ask at once get one layer store, and after it was closed another", async () => {
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const [store, same] = await Promise.all([client.layerStore(), client.layerStore()]);
  expect(same).toBe(store);
  const { chainId } = await store.register(streamOf(base));
  await store.close();
  await expect(store.get(chainId)).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
  const next = await client.layerStore();
  expect(await layers(next)).toEqual([chainId]);
  // Closing it twice does not close what others were given since.
  await store.close();
  await expect(client.layerStore()).resolves.toBe(next);
  await next[Symbol.asyncDispose]();
  await expect(client.layerStore()).resolves.not.toBe(next);
});

// C-LS.3
test("a client that closes ends its references, and no layer goes by that; the next one can release it", async () => {
  await using root = await tempDirectory();
  const client = await open(root.path);
  const store = await client.layerStore();
  const { chainId } = await store.register(streamOf(base));
  await client.close();
  await expect(client.layerStore()).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
  await expect(store.get(chainId)).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });

  await using next = await open(root.path);
  await next.gc();
  const again = await next.layerStore();
  const layer = await again.get(chainId);
  await expect(collect(layer.tarStream())).resolves.toEqual(base);
  await expect(layer.release()).resolves.toMatchObject([{ chainId }]);
  expect(await layers(again)).toEqual([]);
});

// S1.1
test("namespaces and snapshotters have layers of their own, and a snapshotter that is not known is named", async () => {
  await using root = await tempDirectory();
  const snapshotters = {
    other: async (directory: string) => {
      const { openNativeSnapshotter } = await import("@varve/snapshots-native");
      return openNativeSnapshotter({ root: directory, durability: "none", ownership: "skip" });
    },
  };
  await using client = await open(root.path, { snapshotters });
  const { chainId } = await (await client.layerStore()).register(streamOf(base));
  for (const own of [{ namespace: "other" }, { snapshotter: "other" }]) {
    await using beside = await open(root.path, { snapshotters, ...own });
    const store = await beside.layerStore();
    expect(await layers(store)).toEqual([]);
    const layer = await store.register(streamOf(base));
    expect(layer.chainId).toBe(chainId);
    await expect(layer.release()).resolves.toHaveLength(1);
    await beside.gc();
    expect(await snapshots(beside)).toEqual([]);
  }
  await expect(open(root.path, { snapshotters, snapshotter: "nope" })).rejects.toMatchObject({
    code: "ERR_INVALID_ARGUMENT",
    message: expect.stringMatching(/^snapshotter nope: not known, there are .*\bother\b/),
  });
  expect(await snapshots(client)).toEqual([chainId]);
  expect(await layers(await client.layerStore())).toEqual([chainId]);
});

// S1.12, I4
test("what was held for a snapshot that does not come to be is not held any more", async () => {
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const store = await client.layerStore();
  await expect(store.register(streamOf(Buffer.alloc(600, "no tar")))).rejects.toMatchObject({
    code: "ERR_INVALID_DATA",
  });
  expect(await held(client)).toEqual([]);
  expect(await snapshots(client)).toEqual([]);
});

// S1.12
test("closing a client ends what is being registered first, so that nothing of it is left", async () => {
  await using root = await tempDirectory();
  const client = await open(root.path);
  const begun = Promise.withResolvers<void>();
  const archive = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    yield base.subarray(0, 100);
    begun.resolve();
    await new Promise(() => undefined);
  };
  const store = await client.layerStore();
  const outcome = store.register(archive()).catch((error: unknown) => error);
  await begun.promise;
  await client.close();
  await expect(outcome).resolves.toMatchObject({ code: "ERR_ABORTED" });
  // Though the archive waits for ever, nothing is left open.
  expect(await openFiles(root.path)).toEqual([]);
  await using next = await open(root.path);
  expect(await snapshots(next)).toEqual([]);
  expect(await held(next)).toEqual([]);
});

// S1.60
test("closing the store ends what is read of its layers, and whoever reads on is told", async () => {
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const store = await client.layerStore();
  const layer = await store.register(streamOf(base));
  const box = await store.createRWLayer("box", { parent: layer.chainId });
  const before = await snapshots(client);
  const streams = [layer.tarStream(), box.tarStream()];
  for (const stream of streams) await expect(stream.next()).resolves.toMatchObject({ done: false });
  // Each has a view that it reads from.
  expect(await snapshots(client)).toHaveLength(before.length + streams.length);
  const unread = layer.tarStream();
  await store.close();
  expect(await snapshots(client)).toEqual(before);
  expect(await held(client)).toEqual(before);
  for (const stream of streams) {
    await expect(stream.next()).rejects.toMatchObject({ code: "ERR_ABORTED", message: "layer store: was closed" });
  }
  await expect(unread.next()).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
});

// S1.78, C-LS.8
test("files of which there is no archive become a layer by what they differ in", async () => {
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const store = await client.layerStore();
  const below = await store.register(streamOf(base));
  const [mount] = await (await client.snapshotter()).prepare("work", below.chainId);
  await writeFile(join(mount?.source ?? "", "etc/mine"), "mine");
  let tar: Buffer = Buffer.alloc(0);
  const { diffId } = await client.writeLayer("work", async (bytes) => void (tar = await collect(bytes)));
  const layer = await store.register(streamOf(tar), { parent: below.chainId });
  expect(layer).toMatchObject({ diffId, diffSize: 4, parent: below.chainId });
  await expect(collect(layer.tarStream())).resolves.toEqual(tar);
});

// S1.79
test("a layer that stands twice in a chain is registered again from the one that is there", async () => {
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const store = await client.layerStore();
  const below = await store.register(streamOf(base));
  const again = await store.register(() => below.tarStream(), { parent: below.chainId });
  expect(again).toMatchObject({ diffId: below.diffId, parent: below.chainId, depth: 2, size: 2 * below.size });
  expect(again.chainId).toBe(chainIds([below.diffId, below.diffId])[1]);
  await expect(collect(again.tarStream())).resolves.toEqual(base);
});
