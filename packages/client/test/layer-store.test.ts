import { gzipSync } from "node:zlib";
import { openClient } from "@varve/client";
import type { Client, LayerStore, OpenClientOptions } from "@varve/client";
import { chainIds, digestOf } from "@varve/digest";
import { pack } from "tar-stream";
import { expect, test } from "vitest";
import { tempDirectory } from "./temp.ts";

function open(root: string, options: OpenClientOptions = {}): Promise<Client> {
  return openClient({ root, snapshotter: "native", durability: "none", ...options });
}

async function tarOf(files: Readonly<Record<string, string>>): Promise<Buffer> {
  const tar = pack();
  for (const [name, text] of Object.entries(files)) tar.entry({ name }, text);
  tar.finalize();
  return Buffer.concat(await Array.fromAsync(tar as AsyncIterable<Uint8Array>));
}

async function* streamOf(...chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array, void, undefined> {
  yield* chunks;
}

/** Collects a stream whose chunks are overwritten. */
async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

async function snapshots(client: Client): Promise<string[]> {
  return (await Array.fromAsync((await client.snapshotter()).walk())).map(({ name }) => name).toSorted();
}

async function layers(store: LayerStore): Promise<string[]> {
  return (await Array.fromAsync(store.list())).map(({ chainId }) => chainId);
}

async function held(client: Client): Promise<string[]> {
  const [lease] = await Array.fromAsync(client.leases.list());
  if (lease === undefined) return [];
  return (await Array.fromAsync(client.leases.resources(lease.id))).map(({ id }) => id).toSorted();
}

const base = await tarOf({ "etc/base": "base" });
const top = await tarOf({ "etc/top": "top" });

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

test("namespaces and snapshotters have layers of their own", async () => {
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

test("a layer whose snapshot somebody has removed is refused, until it is registered again", async () => {
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const store = await client.layerStore();
  const { chainId } = await store.register(streamOf(base));
  await (await client.snapshotter()).remove(chainId);
  expect(await held(client)).toEqual([]);
  await expect(store.get(chainId)).rejects.toMatchObject({ code: "ERR_DATA_LOSS" });
  await store.register(streamOf(base));
  await client.gc();
  expect(await snapshots(client)).toEqual([chainId]);
  const layer = await store.get(chainId);
  await expect(collect(layer.tarStream())).resolves.toEqual(base);
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
  await using next = await open(root.path);
  expect(await snapshots(next)).toEqual([]);
  expect(await held(next)).toEqual([]);
});
