import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Layer } from "@varve/layers";
import { describe, expect, test } from "vitest";
import { whyNoFaults } from "../src/faults/missing.ts";
import { backends, bytesOf, once } from "../src/layer-store/layer-store-scene.ts";
import { base, changesIn, names, opened, within } from "../src/layer-store/rw-scene.ts";
import { file, layerOf } from "../src/layers/layer-of.ts";

const missing = await whyNoFaults([]);
const top = layerOf([file("new", "top")]);

const makeInit = async (root: string): Promise<void> => writeFile(join(root, "init"), "init");
const refuse = (): Promise<void> => Promise.reject(new Error("no"));

const refused = (why: string): unknown => expect.objectContaining({ code: "ERR_FAILED_PRECONDITION", message: why });

/** An archive that releases a reference as it is read. */
async function* releasing(tar: Buffer, held: Layer): AsyncGenerator<Uint8Array, void, undefined> {
  yield tar.subarray(0, 512);
  expect(await held.release()).toEqual([]);
  yield tar.subarray(512);
}

// Cases of moby's own tests, and rows of its store, that need a test of their own
describe.skipIf(missing !== undefined).each(backends)(
  `what moby's layer store is known for, over %s (privileged${missing === undefined ? "" : `: ${missing}`})`,
  (backend) => {
    // S1.13, C-GD.1: DeepLayerRead
    test("a chain has 125 layers and no more, and a read-write layer with an init layer shows all of them", async () => {
      await using here = await opened(backend);
      const { store } = here;
      let layer: Layer | undefined;
      for (let index = 1; index <= 125; index += 1) {
        layer = await store.register(once(layerOf([file(`${index}`, `${index}`)])), { parent: layer?.chainId });
      }
      const parent = layer?.chainId;
      expect(layer).toMatchObject({ depth: 125, diffSize: 3, size: 9 + 2 * 90 + 3 * 26 });
      await expect(store.register(once(top), { parent })).rejects.toMatchObject({
        code: "ERR_FAILED_PRECONDITION",
        message: `layer ${parent}: a layer on it would be number 126 of its chain (maxDepth 125)`,
      });
      await using deep = await store.createRWLayer("deep", { parent, init: makeInit });
      await within(deep, async (root) => {
        expect(await readdir(root)).toHaveLength(126);
        expect(await readFile(join(root, "1"), "utf8")).toBe("1");
        await writeFile(join(root, "1"), "again");
      });
      expect(await changesIn(deep)).toEqual(["modified 1"]);
    });

    // S1.31, S1.34
    test("who lists layers has no reference to them, and nobody takes a layer that is in use", async () => {
      await using here = await opened(backend);
      const { store } = here;
      const lower = await store.register(once(base));
      const upper = await store.register(once(top), { parent: lower.chainId });
      await expect(store.remove(upper.chainId)).rejects.toEqual(
        refused(`layer ${upper.chainId}: cannot be removed: somebody refers to it`),
      );
      await expect(store.remove(lower.chainId)).rejects.toEqual(
        refused(`layer ${lower.chainId}: cannot be removed: layer ${upper.chainId} stands on it`),
      );
      const rw = await store.createRWLayer("one", { parent: upper.chainId });
      expect(await lower.release()).toEqual([]);
      expect(await upper.release()).toEqual([]);
      await expect(store.remove(upper.chainId)).rejects.toEqual(
        refused(`layer ${upper.chainId}: cannot be removed: read-write layer one stands on it`),
      );
      expect(await Array.fromAsync(store.list())).toHaveLength(2);
      expect(await Array.fromAsync(store.listRWLayers())).toMatchObject([{ name: "one", parent: upper.chainId }]);
      expect(await store.stat(upper.chainId)).toMatchObject({ depth: 2 });
      expect(names(await rw.release())).toEqual([upper.chainId, lower.chainId]);
      expect(await Array.fromAsync(store.list())).toEqual([]);
    });

    // S1.12
    test("a parent whose last reference is released while a layer is made on it stays, also if that fails", async () => {
      await using here = await opened(backend);
      const { scene, store } = here;
      const parent = await store.register(once(base));
      const child = await store.register(releasing(top, parent), { parent: parent.chainId });
      expect((await scene.snapshots()).committed).toEqual([child.chainId, parent.chainId].toSorted());
      expect(names(await child.release())).toEqual([child.chainId, parent.chainId]);
      const again = await store.register(once(base));
      const cut = releasing(top.subarray(0, 700), again);
      await expect(store.register(cut, { parent: again.chainId })).rejects.toMatchObject({
        code: "ERR_INVALID_DATA",
      });
      // Nobody has released it last.
      const kept = await store.get(again.chainId);
      expect(names(await kept.release())).toEqual([again.chainId]);
      expect(await scene.snapshots()).toEqual({ committed: [], others: 0 });
    });

    // S1.3, S1.6
    test("a store opens with layers and read-write layers whose files are gone, and the rest works", async () => {
      await using here = await opened(backend);
      const { scene, store } = here;
      const lost = await store.register(once(base));
      const kept = await store.register(once(top));
      const { snapshot } = await store.createRWLayer("lost", { parent: kept.chainId });
      await store.createRWLayer("kept", { parent: kept.chainId });
      await store.close();
      await scene.snapshotter.remove(lost.chainId);
      await scene.snapshotter.remove(snapshot);
      const again = await scene.store();
      expect(await Array.fromAsync(again.list())).toHaveLength(2);
      await expect(again.get(lost.chainId)).rejects.toMatchObject({ code: "ERR_DATA_LOSS" });
      await using found = await again.get(kept.chainId);
      expect((await bytesOf(found.tarStream())).equals(top)).toBe(true);
      await using layer = await again.getRWLayer("kept");
      expect(await changesIn(layer)).toEqual([]);
      const gone = await again.getRWLayer("lost");
      await expect(gone.mount()).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
      await expect(gone.size()).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
      expect(await gone.release()).toEqual([]);
      expect(names(await again.remove(lost.chainId))).toEqual([lost.chainId]);
    });

    // S1.43
    test("a read-write layer that takes a name again has a snapshot of its own", async () => {
      await using here = await opened(backend);
      const { store } = here;
      const first = await store.createRWLayer("one");
      const { snapshot } = first;
      expect(snapshot).toMatch(/^layers-rw\/[0-9a-f-]{36}$/);
      await store.close();
      const again = await here.scene.store();
      const same = await again.getRWLayer("one");
      expect(same.snapshot).toBe(snapshot);
      await same.release();
      await using next = await again.createRWLayer("one");
      expect(next.snapshot).not.toBe(snapshot);
    });

    // S1.73, C-LS.6: TestTarStreamVerification. All contents fit, so that nothing but the digest tells.
    test("records of two layers that are swapped are told at the end of either stream", async () => {
      await using here = await opened(backend);
      const { scene, store } = here;
      const late = layerOf([{ ...file("f", "content"), mtime: { seconds: 1_700_000_000, nanoseconds: 0 } }]);
      const [one, two] = [
        await store.register(once(layerOf([file("f", "content")]))),
        await store.register(once(late)),
      ];
      const records = join(scene.path, "layers/records");
      const [first = "", second = ""] = (await scene.files()).records.toSorted();
      await rename(join(records, first), join(records, "aside"));
      await rename(join(records, second), join(records, first));
      await rename(join(records, "aside"), join(records, second));
      for (const layer of [one, two]) {
        await expect(bytesOf(layer.tarStream())).rejects.toMatchObject({
          code: "ERR_DATA_LOSS",
          message: expect.stringContaining(`layer ${layer.chainId}`),
        });
      }
    });

    // S1.74, C-LS.10: TestEmptyLayer
    test("the empty layer has the digest that everybody knows, no size, and 1024 zeros as its tar", async () => {
      await using here = await opened(backend);
      const zeros = Buffer.alloc(1024);
      await using layer = await here.store.register(once(zeros));
      expect(layer).toMatchObject({
        chainId: "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef",
        diffSize: 0,
        size: 0,
      });
      expect((await bytesOf(layer.tarStream())).equals(zeros)).toBe(true);
      expect(await readdir(await here.scene.filesOf(layer.chainId))).toEqual([]);
    });

    // S1.22, C-LS.9: TestStartTransactionFailure, TestCommitFailure
    test.each(["scratch", "records"])(
      "a file in the place of %s fails what is registered meanwhile, which leaves nothing",
      async (directory) => {
        await using here = await opened(backend);
        const { scene, store } = here;
        const path = join(scene.path, "layers", directory);
        await rm(path, { recursive: true });
        await writeFile(path, "a file");
        await expect(store.register(once(base))).rejects.toMatchObject({ code: "ENOTDIR" });
        expect(await scene.snapshots()).toEqual({ committed: [], others: 0 });
        await rm(path);
        await mkdir(path);
        await store.cleanup();
        const database = new DatabaseSync(join(scene.path, "layers/layers.db"));
        expect(database.prepare("SELECT chain FROM layers").all()).toEqual([]);
        database.close();
        await using layer = await store.register(once(base));
        expect((await bytesOf(layer.tarStream())).equals(base)).toBe(true);
      },
    );

    // C-LS.7: TestMountChanges
    test("a mode alone is a change, a changed file with another mode is one, too, and what goes of init is deleted", async () => {
      await using here = await opened(backend);
      const { store } = here;
      const files = ["testfile1.txt", "testfile2.txt", "testfile3.txt"].map((name) => file(name, "test data!"));
      await using parent = await store.register(once(layerOf(files)));
      await using layer = await store.createRWLayer("mount-changes", { parent: parent.chainId, init: makeInit });
      await within(layer, async (root) => {
        await chmod(join(root, "testfile1.txt"), 0o755);
        await writeFile(join(root, "testfile1.txt"), "mount data!");
        await rm(join(root, "testfile2.txt"));
        await chmod(join(root, "testfile3.txt"), 0o755);
        await writeFile(join(root, "testfile4.txt"), "mount data!");
        await rm(join(root, "init"));
      });
      expect(await changesIn(layer)).toEqual([
        "deleted init",
        "modified testfile1.txt",
        "deleted testfile2.txt",
        "modified testfile3.txt",
        "added testfile4.txt",
      ]);
    });

    // S1.42
    test("a read-write layer that cannot be made keeps no reference to its parent", async () => {
      await using here = await opened(backend);
      const { store } = here;
      const parent = await store.register(once(base));
      const layer = await store.createRWLayer("one", { parent: parent.chainId });
      await expect(store.createRWLayer("one", { parent: parent.chainId })).rejects.toMatchObject({
        code: "ERR_ALREADY_EXISTS",
      });
      await expect(store.createRWLayer("two", { parent: parent.chainId, init: refuse })).rejects.toThrow("no");
      expect(await parent.release()).toEqual([]);
      expect(names(await layer.release())).toEqual([parent.chainId]);
    });
  },
);
