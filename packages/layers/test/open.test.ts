import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { digestOf } from "@varve/digest";
import { openLayerStore } from "@varve/layers";
import { expect, test } from "vitest";
import { bytesOf, once, Scene, tarOf } from "./scene.ts";

const base = tarOf({ a: "base" });
/** "vLyr", as docs/layer-store.md has it. */
const ours = 0x764c7972;

// S1.3, S1.4, C-LS.3
test("a store that is opened again has its layers, and references of the one before have ended", async () => {
  await using scene = await Scene.open();
  const store = await scene.store();
  const layer = await store.register(once(base));
  await store.close();
  await store.close();
  for (const call of [
    () => store.get(layer.chainId),
    () => store.register(once(base)),
    () => layer.release(),
    () => layer.tarStream().next(),
    () => store.createRWLayer("one"),
    () => store.list()[Symbol.asyncIterator]().next(),
  ]) {
    await expect(call()).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
  }
  const again = await scene.store();
  const found = await again.get(layer.chainId);
  expect((await bytesOf(found.tarStream())).equals(base)).toBe(true);
  expect(await found.release()).toMatchObject([{ chainId: layer.chainId }]);
  await expect(again.get(layer.chainId)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
});

test("a database of a newer version, or of another program, is refused and left as it is", async () => {
  await using scene = await Scene.open();
  await (await scene.store()).close();
  const path = join(scene.path, "layers/layers.db");
  const pragma = (text: string): unknown => {
    const database = new DatabaseSync(path);
    try {
      return database.prepare(`PRAGMA ${text}`).get();
    } finally {
      database.close();
    }
  };
  expect(pragma("application_id")).toEqual({ application_id: ours });
  pragma("user_version = 999");
  await expect(scene.store()).rejects.toMatchObject({ code: "ERR_NOT_IMPLEMENTED" });
  expect(pragma("user_version")).toEqual({ user_version: 999 });
  pragma("user_version = 1");
  pragma("application_id = 7");
  await expect(scene.store()).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
  expect(pragma("application_id")).toEqual({ application_id: 7 });
  pragma(`application_id = ${ours}`);
  await scene.store();
});

// S1.31, S1.34
test("layers are listed by chain ID, and removed only if nobody wants them", async () => {
  await using scene = await Scene.open();
  const store = await scene.store();
  const layers = [];
  for (const text of ["1", "2", "3"]) layers.push(await store.register(once(tarOf({ a: text }))));
  const ids = layers.map(({ chainId }) => chainId);
  expect((await Array.fromAsync(store.list())).map(({ chainId }) => chainId)).toEqual(ids.toSorted());
  const [first] = layers;
  await expect(store.remove(first!.chainId)).rejects.toMatchObject({
    code: "ERR_FAILED_PRECONDITION",
    message: `layer ${first!.chainId}: cannot be removed: somebody refers to it`,
  });
  await store.close();
  const again = await scene.store();
  expect(await again.remove(first!.chainId)).toMatchObject([{ chainId: first!.chainId }]);
  await expect(again.remove(first!.chainId)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  await expect(again.stat(digestOf("nobody"))).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
});

// S1.5, S1.35
test("a layer whose snapshot is gone is told, and mended by registering it again", async () => {
  await using scene = await Scene.open();
  const store = await scene.store();
  const layer = await store.register(once(base));
  await scene.snapshotter.remove(layer.chainId);
  await expect(store.get(layer.chainId)).rejects.toMatchObject({
    code: "ERR_DATA_LOSS",
    message: `layer ${layer.chainId}: its snapshot is gone`,
  });
  const mended = await store.register(once(base));
  expect((await bytesOf(mended.tarStream())).equals(base)).toBe(true);
});

// S1.62
test("what dead processes have left is removed by the open, and what living ones have is not", async () => {
  await using scene = await Scene.open();
  const store = await scene.store();
  const layer = await store.register(once(base));
  const { snapshotter } = scene;
  await snapshotter.prepare("layers/1_1_dead/x", undefined);
  await snapshotter.prepare("somebody-else's", undefined);
  await mkdir(join(scene.path, "layers/scratch/1_1_dead.x"));
  const stream = layer.tarStream();
  await stream.next();
  await scene.store();
  const left = (await Array.fromAsync(snapshotter.walk())).map(({ name }) => name);
  expect(left).toEqual([layer.chainId, "somebody-else's", expect.stringMatching(/^layers\//)]);
  expect((await scene.files()).scratch).toEqual([]);
  await stream.return();
  expect(await scene.snapshots()).toEqual({ committed: [layer.chainId], others: 1 });
});

test("closing ends what is read and registered, and what others opened stays open", async () => {
  await using scene = await Scene.open();
  const store = await scene.store();
  const other = await scene.store();
  const layer = await store.register(once(tarOf({ a: "a".repeat(100_000) })));
  const stream = layer.tarStream();
  await stream.next();
  const begun = Promise.withResolvers<void>();
  const endless = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    yield base.subarray(0, 512);
    begun.resolve();
    await new Promise(() => undefined);
  };
  const outcome = store.register(endless()).catch((error: unknown) => error);
  await begun.promise;
  await store.close();
  expect(await outcome).toMatchObject({ code: "ERR_ABORTED" });
  await expect(bytesOf(stream)).rejects.toMatchObject({ code: "ERR_ABORTED" });
  expect(await Array.fromAsync(other.list())).toHaveLength(1);
  expect(await scene.snapshots()).toEqual({ committed: [layer.chainId], others: 0 });
});

test("a root that is a file is told", async () => {
  await using scene = await Scene.open();
  const { snapshotter } = scene;
  await using store = await scene.store();
  expect(await Array.fromAsync(store.list())).toEqual([]);
  const root = join(scene.path, "layers/layers.db");
  const parts = { applier: { applyArchive: () => Promise.reject(new Error("never")) }, snapshotter };
  const mounter = { mount: async () => undefined, unmount: async () => undefined };
  await expect(openLayerStore({ root, mounter, ...parts })).rejects.toMatchObject({
    code: expect.stringMatching(/^E(?:EXIST|NOTDIR)$/),
  });
});
