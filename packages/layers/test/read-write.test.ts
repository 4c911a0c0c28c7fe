import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { gzipSync } from "node:zlib";
import { digestOf } from "@varve/digest";
import type { RWLayer } from "@varve/layers";
import { expect, test } from "vitest";
import { bytesOf, once, Scene, tarOf } from "./scene.ts";

const base = tarOf({ "d/": "", "d/a": "base a", "d/b": "base b" });

/** Where the changes are: nothing here is mounted. */
const filesOf = ({ snapshotter }: Scene, { snapshot }: RWLayer): string => snapshotter.directoryOf(snapshot);

const makeInit = (root: string): Promise<void> => writeFile(join(root, "init"), "by init");

async function changesIn(layer: RWLayer): Promise<string[]> {
  const all = await Array.fromAsync(layer.changes());
  return all.map(({ kind, path }) => `${kind} ${path.toString()}`).filter((change) => !/^modified d?$/.test(change));
}

// S1.40, S1.46, S1.76, C-LS.1, C-LS.7
test("what is written to a read-write layer are changes, of a size, and become a layer by a commit", async () => {
  await using scene = await Scene.open();
  const store = await scene.store();
  const parent = await store.register(once(base));
  const layer = await store.createRWLayer("one", { parent: parent.chainId, init: makeInit });
  expect(await changesIn(layer)).toEqual([]);
  const files = filesOf(scene, layer);
  expect((await readdir(files)).toSorted()).toEqual(["d", "init"]);
  await writeFile(join(files, "new"), "new");
  await writeFile(join(files, "d/a"), "changed");
  await rm(join(files, "d/b"));
  expect(await changesIn(layer)).toEqual(["modified d/a", "deleted d/b", "added new"]);
  expect(await layer.size()).toBe(10);
  const tar = await bytesOf(layer.tarStream());
  const committed = await layer.commit();
  expect(committed).toMatchObject({ parent: parent.chainId, diffId: digestOf(tar), diffSize: 10 });
  expect((await bytesOf(committed.tarStream())).equals(tar)).toBe(true);
  expect(await readdir(scene.snapshotter.directoryOf(committed.chainId))).not.toContain("init");
});

// S1.76, C-LS.7: TestMountApply
test("an archive is applied to a read-write layer, on what is there", async () => {
  await using scene = await Scene.open();
  const store = await scene.store();
  const parent = await store.register(once(base));
  const layer = await store.createRWLayer("one", { parent: parent.chainId });
  await writeFile(join(filesOf(scene, layer), "mine"), "mine");
  const archive = tarOf({ "d/a": "applied", "d/.wh.b": "", ".wh.mine": "", more: "more" });
  expect(await layer.apply(once(gzipSync(archive)))).toEqual({ diffId: digestOf(archive), contentBytes: 11 });
  expect(await changesIn(layer)).toEqual(["modified d/a", "deleted d/b", "added more"]);
  await expect(layer.apply(once(archive.subarray(0, 600)))).rejects.toMatchObject({
    code: "ERR_INVALID_DATA",
    message: expect.stringMatching(/^read-write layer one: /),
  });
  expect(await scene.files()).toEqual({ records: [expect.any(String)], scratch: [] });
  expect(await Array.fromAsync(store.list())).toHaveLength(1);
});

// S1.41, S1.43, S1.46, S1.47, S1.49
test("a read-write layer has a name of its own, and its last reference takes it with what it stood on", async () => {
  await using scene = await Scene.open();
  const store = await scene.store();
  const parent = await store.register(once(base));
  const layer = await store.createRWLayer("one", { parent: parent.chainId });
  await expect(store.createRWLayer("one")).rejects.toMatchObject({
    code: "ERR_ALREADY_EXISTS",
    message: "read-write layer one: already exists",
  });
  await expect(store.createRWLayer("")).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  await expect(store.getRWLayer("two")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  const second = await store.getRWLayer("one");
  expect(second.snapshot).toBe(layer.snapshot);
  expect(await Array.fromAsync(store.listRWLayers())).toEqual([
    { name: "one", parent: parent.chainId, snapshot: layer.snapshot },
  ]);
  expect(await parent.release()).toEqual([]);
  expect(await layer.release()).toEqual([]);
  await expect(layer.size()).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
  expect(await second.release()).toMatchObject([{ chainId: parent.chainId }]);
  expect(await scene.snapshots()).toEqual({ committed: [], others: 0 });
});

// S1.44
test("an init that fails leaves nothing, and a store without a comparer cannot compare", async () => {
  await using scene = await Scene.open();
  const store = await scene.store({ comparer: undefined });
  const no = new Error("no");
  await expect(store.createRWLayer("one", { init: () => Promise.reject(no) })).rejects.toBe(no);
  expect(await scene.snapshots()).toEqual({ committed: [], others: 0 });
  const layer = await store.createRWLayer("one");
  for (const call of [() => layer.size(), () => layer.commit(), () => layer.changes().next()]) {
    await expect(call()).rejects.toMatchObject({ code: "ERR_NOT_IMPLEMENTED" });
  }
  await layer.apply(once(tarOf({ f: "f" })));
  expect(await readFile(join(filesOf(scene, layer), "f"), "utf8")).toBe("f");
});

// S1.48
test("a layer that somebody else has mounted is neither mounted, nor changed, nor removed", async () => {
  await using scene = await Scene.open();
  let place: string | undefined = "/somewhere";
  const store = await scene.store({ mountedOn: async () => place });
  const layer = await store.createRWLayer("one");
  const refusal = {
    code: "ERR_FAILED_PRECONDITION",
    message: "read-write layer one: is mounted on /somewhere, unmount that first",
  };
  await expect(layer.mount()).rejects.toMatchObject(refusal);
  await expect(layer.apply(once(base))).rejects.toMatchObject(refusal);
  await expect(layer.release()).rejects.toMatchObject(refusal);
  place = undefined;
  await expect(layer.mount()).rejects.toMatchObject({ code: "ERR_PERMISSION_DENIED" });
  expect(await layer.whileUnmounted(async () => "done")).toBe("done");
  expect(await layer.release()).toEqual([]);
});

// S1.31
test("a layer whose mount is counted but not made yet is listed, and mounted nowhere", async () => {
  await using scene = await Scene.open();
  const store = await scene.store();
  const { snapshot } = await store.createRWLayer("one");
  const database = new DatabaseSync(join(scene.path, "layers/layers.db"));
  database.exec("UPDATE rw_refs SET mounts = 1");
  database.close();
  expect(await Array.fromAsync(store.listRWLayers())).toEqual([{ name: "one", snapshot }]);
});
