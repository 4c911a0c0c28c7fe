import { digestOf } from "@varve/digest";
import { expect, test } from "vitest";
import { collect, streamOf } from "./layer-bytes.ts";
import { base, held, layers, open, snapshots, top } from "./layer-store-scene.ts";
import { tempDirectory } from "./temp.ts";

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

// S1.5, S1.35
test("layers whose snapshots are gone are removed by their chain IDs, the topmost first", async () => {
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const store = await client.layerStore();
  const { chainId } = await store.register(streamOf(base));
  const above = await store.register(streamOf(top), { parent: chainId });
  const box = await store.createRWLayer("box", { parent: above.chainId });
  const snapshotter = await client.snapshotter();
  for (const name of [box.snapshot, above.chainId, chainId]) await snapshotter.remove(name);
  await store.close();

  const again = await client.layerStore();
  await expect(again.get(chainId)).rejects.toMatchObject({ code: "ERR_DATA_LOSS" });
  await expect(again.remove(chainId)).rejects.toMatchObject({
    code: "ERR_FAILED_PRECONDITION",
    message: `layer ${chainId}: cannot be removed: layer ${above.chainId} stands on it`,
  });
  await expect(again.remove(above.chainId)).rejects.toMatchObject({
    message: `layer ${above.chainId}: cannot be removed: read-write layer box stands on it`,
  });
  const lost = await again.getRWLayer("box");
  await expect(lost.whileUnmounted(async () => undefined)).rejects.toMatchObject({
    code: "ERR_NOT_FOUND",
    message: "read-write layer box: its files are gone",
  });
  expect((await lost.release()).map((layer) => layer.chainId)).toEqual([above.chainId, chainId]);
  expect(await layers(again)).toEqual([]);
  expect(await held(client)).toEqual([]);
  // Nothing of them is in the way of new ones.
  const anew = await again.register(streamOf(base));
  await expect(collect(anew.tarStream())).resolves.toEqual(base);
});

// S1.32, S1.33, S1.34
test("nobody can remove a layer that is in use, release what is released, or get at a layer that is gone", async () => {
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const store = await client.layerStore();
  const below = await store.register(streamOf(base));
  const same = await store.get(below.chainId);
  const above = await store.register(streamOf(top), { parent: below.chainId });
  const refused = { code: "ERR_FAILED_PRECONDITION" };
  await expect(store.remove(above.chainId)).rejects.toMatchObject({
    ...refused,
    message: `layer ${above.chainId}: cannot be removed: somebody refers to it`,
  });
  // Twice at once counts once, or the other reference would be gone with it.
  const [first, second] = await Promise.allSettled([same.release(), same.release()]);
  expect(first).toMatchObject({ status: "fulfilled", value: [] });
  expect(second).toMatchObject({ status: "rejected", reason: refused });
  await expect(same.tarStream().next()).rejects.toMatchObject(refused);
  await expect(below.release()).resolves.toEqual([]);
  await expect(below.release()).rejects.toMatchObject(refused);
  // Nobody refers to it, but a layer stands on it.
  await expect(store.remove(below.chainId)).rejects.toMatchObject(refused);
  await expect(collect(above.tarStream())).resolves.toEqual(top);
  await expect(above.release()).resolves.toHaveLength(2);
  await expect(above.release()).rejects.toMatchObject(refused);
  for (const { chainId } of [above, below]) {
    const gone = { code: "ERR_NOT_FOUND", message: `layer ${chainId}: not found` };
    await expect(store.remove(chainId)).rejects.toMatchObject(gone);
    await expect(store.get(chainId)).rejects.toMatchObject(gone);
    await expect(store.register(streamOf(top), { parent: chainId })).rejects.toMatchObject(gone);
    await expect(store.createRWLayer("box", { parent: chainId })).rejects.toMatchObject(gone);
  }
  await client.gc();
  expect(await snapshots(client)).toEqual([]);
});

// S1.33
test("a layer that nobody refers to is removed by its chain ID, with those below that nobody has", async () => {
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const store = await client.layerStore();
  const { chainId } = await store.register(streamOf(base));
  const names = [chainId];
  for (const name of ["one", "two"]) {
    names.unshift(
      (await store.register(streamOf(Buffer.concat([top, Buffer.from(name)])), { parent: names[0] })).chainId,
    );
  }
  // References end with the store, and nothing goes by that.
  await store.close();
  const again = await client.layerStore();
  const reference = await again.get(chainId);
  expect((await again.remove(names[0] ?? digestOf(""))).map((layer) => layer.chainId)).toEqual(names.slice(0, 2));
  expect(await layers(again)).toEqual([chainId]);
  expect(await held(client)).toEqual([chainId]);
  await expect(reference.release()).resolves.toHaveLength(1);
});
