import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { chainIds, digestOf } from "@varve/digest";
import type { LayerInfo } from "@varve/layers";
import { describe, expect, test } from "vitest";
import { whyNoFaults } from "../src/faults/missing.ts";
import { backends, bytesOf, LayerStoreScene, once } from "../src/layer-store/layer-store-scene.ts";
import { dir, file, hardlink, layerOf, symlink, whiteout } from "../src/layers/layer-of.ts";
import { rounds } from "../src/rounds.ts";

const missing = await whyNoFaults([]);
const base = layerOf([dir("d"), file("d/a", "base a"), file("d/b", "b".repeat(10_000)), symlink("l", "d/a")]);
const middle = layerOf([file("d/a", "middle a"), whiteout("d/b"), hardlink("h", "d/a")]);
const top = layerOf([file("new", "top")]);
const names = (layers: readonly LayerInfo[]): string[] => layers.map(({ chainId }) => chainId);

async function opened(backend: (typeof backends)[number], options = {}) {
  const scene = await LayerStoreScene.open(backend);
  return { scene, store: await scene.store(options), [Symbol.asyncDispose]: () => scene[Symbol.asyncDispose]() };
}

describe.skipIf(missing !== undefined).each(backends)(
  `a layer store over %s (privileged${missing === undefined ? "" : `: ${missing}`})`,
  (backend) => {
    // S1.10, S1.16, S1.18, S1.19, S1.75, C-LS.7
    test("a layer has the chain ID, the sizes and the depth of what is below it", async () => {
      await using here = await opened(backend);
      const { scene, store } = here;
      const first = await store.register(once(base));
      const second = await store.register(once(gzipSync(middle)), { parent: first.chainId });
      const [one = "", two = ""] = chainIds([digestOf(base), digestOf(middle)]);
      expect(first).toMatchObject({ chainId: one, diffId: one, depth: 1, diffSize: 10_006, size: 10_006 });
      expect(first.parent).toBeUndefined();
      expect(second).toMatchObject({ chainId: two, diffId: digestOf(middle), parent: one, depth: 2, diffSize: 8 });
      expect(second.size).toBe(10_014);
      expect(await scene.snapshots()).toEqual({ committed: [one, two].toSorted(), others: 0 });
      expect(await Array.fromAsync(store.list())).toMatchObject(
        [{ chainId: one }, { chainId: two }].toSorted((a, b) => (a.chainId < b.chainId ? -1 : 1)),
      );
      expect(await store.stat(second.chainId)).toMatchObject({ parent: one, diffId: second.diffId });
    });

    // S1.17, S1.60, S1.61, S1.73, S1.77, C-LS.4, C-TS.1
    test.each([
      ["as it is", (tar: Buffer) => once(tar)],
      ["by gzip", (tar: Buffer) => once(gzipSync(tar))],
      ["by zstd, from a function", (tar: Buffer) => () => once(zstdCompressSync(tar))],
    ])(
      "the archive comes back bit for bit, padding included, given %s, even beside files that others have added",
      async (_how, given) => {
        await using here = await opened(backend);
        const { scene, store } = here;
        const padded = Buffer.concat([base, Buffer.alloc(30_000)]);
        await using first = await store.register(given(padded));
        await using second = await store.register(given(middle), { parent: first.chainId });
        await writeFile(join(await scene.filesOf(first.chainId), "extra"), "not of the layer");
        expect((await bytesOf(first.tarStream())).equals(padded)).toBe(true);
        expect((await bytesOf(second.tarStream())).equals(middle)).toBe(true);
        expect((await scene.snapshots()).others).toBe(0);
      },
    );

    // G-61 of S1.93: where tar-split gives up
    test.each([
      ["a plain stream", (tar: Buffer) => once(tar)],
      ["a function", (tar: Buffer) => () => once(tar)],
    ])("an archive from %s that names a file twice comes back, too", async (_how, given) => {
      await using here = await opened(backend);
      const twice = layerOf([
        file("a", "first"),
        file("b", "b"),
        hardlink("c", "a"),
        file("a", "second a"),
        file("c", "third"),
      ]);
      await using layer = await here.store.register(given(twice));
      expect((await bytesOf(layer.tarStream())).equals(twice)).toBe(true);
    });

    // S1.11, S1.13, S1.14, S1.15, S1.21, S1.22, S1.30
    test("what cannot be registered leaves nothing", async () => {
      await using here = await opened(backend, { maxDepth: 2 });
      const { scene, store } = here;
      const nobody = digestOf("nobody");
      await expect(store.register(once(base), { parent: nobody })).rejects.toMatchObject({
        code: "ERR_NOT_FOUND",
        message: `layer ${nobody}: not found`,
      });
      await expect(store.get(nobody)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
      const first = await store.register(once(base));
      const second = await store.register(once(middle), { parent: first.chainId });
      await expect(store.register(once(top), { parent: second.chainId })).rejects.toMatchObject({
        code: "ERR_FAILED_PRECONDITION",
        message: `layer ${second.chainId}: a layer on it would be number 3 of its chain (maxDepth 2)`,
      });
      await expect(store.register(once(top.subarray(0, 700)), { parent: first.chainId })).rejects.toMatchObject({
        code: "ERR_INVALID_DATA",
      });
      const controller = new AbortController();
      const reason = new Error("enough");
      const aborting = store.register(once(base, 512), {
        signal: controller.signal,
        onProgress: () => controller.abort(reason),
      });
      await expect(aborting).rejects.toBe(reason);
      expect(await scene.snapshots()).toEqual({ committed: [first.chainId, second.chainId].toSorted(), others: 0 });
      expect(await scene.files()).toEqual({ records: expect.toSatisfy((files) => files.length === 2), scratch: [] });
      expect(names(await second.release())).toEqual([second.chainId]);
      expect(names(await first.release())).toEqual([first.chainId]);
      expect(await scene.snapshots()).toEqual({ committed: [], others: 0 });
    });

    // S1.20, S1.30, C-LS.5
    test("the same chain twice, later or at once: one layer, two references", async () => {
      await using here = await opened(backend);
      const { scene, store } = here;
      const [first, second] = await Promise.all([store.register(once(base)), store.register(once(base))]);
      const third = await store.register(once(gzipSync(base)));
      expect(new Set([first.chainId, second.chainId, third.chainId]).size).toBe(1);
      expect((await scene.files()).records.length).toBe(1);
      expect(await first.release()).toEqual([]);
      expect(await third.release()).toEqual([]);
      expect((await bytesOf(second.tarStream())).equals(base)).toBe(true);
      expect(names(await second.release())).toEqual([second.chainId]);
      expect(await scene.snapshots()).toEqual({ committed: [], others: 0 });
      expect(await scene.files()).toEqual({ records: [], scratch: [] });
    });

    // S1.32, S1.33, C-LS.2
    test("of a diamond goes what nobody has, the topmost first", async () => {
      await using here = await opened(backend);
      const { store } = here;
      const root = await store.register(once(base));
      const left = await store.register(once(middle), { parent: root.chainId });
      const right = await store.register(once(top), { parent: root.chainId });
      const leaf = await store.register(once(top), { parent: left.chainId });
      expect(await root.release()).toEqual([]);
      expect(await left.release()).toEqual([]);
      const gone = await leaf.release();
      expect(gone).toMatchObject([
        { chainId: leaf.chainId, diffId: digestOf(top), diffSize: 3, size: 10_017 },
        { chainId: left.chainId, diffSize: 8 },
      ]);
      await expect(store.get(left.chainId)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
      await expect(leaf.release()).rejects.toMatchObject({
        code: "ERR_FAILED_PRECONDITION",
        message: `layer ${leaf.chainId}: this reference was released`,
      });
      await expect(leaf.tarStream().next()).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
      expect(names(await right.release())).toEqual([right.chainId, root.chainId]);
    });

    // S1.3, S1.4, S1.12, C-LS.3
    test("a store that is opened again has its layers, and none goes before a last reference is released", async () => {
      await using here = await opened(backend);
      const { scene, store } = here;
      const first = await store.register(once(base), {
        descriptor: { mediaType: "x/y", digest: digestOf("blob"), size: 3 },
      });
      const second = await store.register(once(middle), { parent: first.chainId });
      await store.close();
      await expect(store.get(first.chainId)).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
      const again = await scene.store();
      await expect(again.register(once(top.subarray(0, 700)), { parent: second.chainId })).rejects.toMatchObject({
        code: "ERR_INVALID_DATA",
      });
      const found = await again.get(second.chainId);
      expect((await bytesOf(found.tarStream())).equals(middle)).toBe(true);
      expect(await again.stat(first.chainId)).toMatchObject({ descriptor: { mediaType: "x/y", size: 3 } });
      expect(names(await found.release())).toEqual([second.chainId, first.chainId]);
    });

    test("two stores in one root see each other's references", async () => {
      await using here = await opened(backend);
      const { scene, store } = here;
      const other = await scene.store();
      const mine = await store.register(once(base));
      const theirs = await other.get(mine.chainId);
      expect(await mine.release()).toEqual([]);
      expect(names(await theirs.release())).toEqual([theirs.chainId]);
    });

    // S1.20
    test("two stores without locks between them that register one chain at once have one layer", async () => {
      await using here = await opened(backend);
      const { scene, store } = here;
      const other = await scene.store();
      for (let round = 0; round < rounds(30, 5); round += 1) {
        const [mine, theirs] = await Promise.all([store.register(once(base)), other.register(once(base))]);
        expect((await bytesOf(mine.tarStream())).equals(base)).toBe(true);
        expect((await bytesOf(theirs.tarStream())).equals(base)).toBe(true);
        expect((await scene.files()).records.length).toBe(1);
        expect(await mine.release()).toEqual([]);
        expect(names(await theirs.release())).toEqual([theirs.chainId]);
        expect(await scene.snapshots()).toEqual({ committed: [], others: 0 });
      }
    });

    // S1.22
    test("what was given up half made, and could not be removed then, does not take the layer of its chain with it", async () => {
      await using here = await opened(backend);
      const { scene, store } = here;
      const layer = await store.register(once(base));
      const database = new DatabaseSync(join(scene.path, "layers/layers.db"));
      for (const state of ["making", "going"]) {
        database.exec(`INSERT INTO layers (chain, diff, depth, diff_size, size, state, owner)
          SELECT chain, diff, depth, diff_size, size, '${state}', '1/1/dead' FROM layers WHERE state = 'ready'`);
      }
      database.close();
      await store.cleanup();
      expect((await bytesOf(layer.tarStream())).equals(base)).toBe(true);
      expect(await Array.fromAsync(store.list())).toHaveLength(1);
      expect(names(await layer.release())).toEqual([layer.chainId]);
      expect(await scene.snapshots()).toEqual({ committed: [], others: 0 });
    });

    test("an active snapshot that somebody has put under the name of a layer is in its way, and stays", async () => {
      await using here = await opened(backend);
      const { scene, store } = here;
      await scene.snapshotter.prepare(digestOf(base), undefined);
      await expect(store.register(once(base))).rejects.toMatchObject({ code: "ERR_ALREADY_EXISTS" });
      expect(await Array.fromAsync(store.list())).toEqual([]);
      expect(await scene.snapshotter.stat(digestOf(base))).toMatchObject({ kind: "active" });
    });

    test("a release that cannot be recorded can be repeated", async () => {
      await using here = await opened(backend);
      const { scene, store } = here;
      const layer = await store.register(once(base));
      const database = new DatabaseSync(join(scene.path, "layers/layers.db"));
      database.exec("CREATE TRIGGER no BEFORE DELETE ON refs BEGIN SELECT RAISE(FAIL, 'no'); END");
      await expect(layer.release()).rejects.toMatchObject({ message: expect.stringContaining("no") });
      expect((await bytesOf(layer.tarStream())).equals(base)).toBe(true);
      database.exec("DROP TRIGGER no");
      database.close();
      expect(names(await layer.release())).toEqual([layer.chainId]);
    });

    // S1.94, C-LS.6, C-TS.1
    test("a changed file, a lost one and records of another layer are losses that are named", async () => {
      await using here = await opened(backend);
      const { scene, store } = here;
      const first = await store.register(once(base));
      const second = await store.register(once(layerOf([file("other", "x".repeat(6))])));
      const path = join(await scene.filesOf(first.chainId), "d/a");
      await writeFile(path, "Base a");
      await expect(bytesOf(first.tarStream())).rejects.toMatchObject({
        code: "ERR_DATA_LOSS",
        message: expect.stringContaining("d/a"),
      });
      await rm(path);
      await expect(bytesOf(first.tarStream())).rejects.toMatchObject({
        code: "ERR_DATA_LOSS",
        message: expect.stringContaining("d/a"),
      });
      const records = join(scene.path, "layers/records");
      const [one = "", two = ""] = (await scene.files()).records.toSorted();
      await rename(join(records, one), join(records, "aside"));
      await rename(join(records, two), join(records, one));
      await expect(bytesOf(second.tarStream())).rejects.toMatchObject({
        code: "ERR_DATA_LOSS",
        message: `layer ${second.chainId}: its tar-split records are gone`,
      });
      await rename(join(records, "aside"), join(records, two));
      await expect(bytesOf(second.tarStream())).rejects.toMatchObject({ code: "ERR_DATA_LOSS" });
    });

    // C-LS.9
    test("a root that cannot be made is told, and one that is in the way of records, too", async () => {
      await using scene = await LayerStoreScene.open(backend);
      await writeFile(join(scene.path, "layers"), "a file");
      await expect(scene.store()).rejects.toMatchObject({ code: expect.stringMatching(/^E(?:EXIST|NOTDIR)$/) });
      await rm(join(scene.path, "layers"));
      await mkdir(join(scene.path, "layers"));
      await writeFile(join(scene.path, "layers/records"), "a file");
      await expect(scene.store()).rejects.toMatchObject({ code: expect.stringMatching(/^E(?:EXIST|NOTDIR)$/) });
      await rm(join(scene.path, "layers/records"));
      const store = await scene.store();
      expect((await store.register(once(base))).diffId).toBe(digestOf(base));
    });

    // S1.5, S1.35, S1.37
    test("a layer without its snapshot is told as lost, and can still be released", async () => {
      await using here = await opened(backend);
      const { scene, store } = here;
      const layer = await store.register(once(base));
      await scene.snapshotter.remove(layer.chainId);
      await expect(store.get(layer.chainId)).rejects.toMatchObject({
        code: "ERR_DATA_LOSS",
        message: `layer ${layer.chainId}: its snapshot is gone`,
      });
      expect(names(await layer.release())).toEqual([layer.chainId]);
    });

    test("with a holder everything is held before it is made, and nothing is removed", async () => {
      const held = new Set<string>();
      const seen: string[] = [];
      const holder = {
        hold: async (name: string) => void (held.add(name), seen.push(name)),
        release: async (name: string) => void held.delete(name),
      };
      await using here = await opened(backend, { holder });
      const { scene, store } = here;
      const layer = await store.register(once(base));
      expect([...held]).toEqual([layer.chainId]);
      await bytesOf(layer.tarStream());
      expect([...held]).toEqual([layer.chainId]);
      expect(names(await layer.release())).toEqual([layer.chainId]);
      expect([...held]).toEqual([]);
      expect(seen.length).toBe(3);
      expect((await scene.snapshots()).committed).toEqual([layer.chainId]);
      await using again = await store.register(once(base));
      expect(again.chainId).toBe(layer.chainId);
    });
  },
);
