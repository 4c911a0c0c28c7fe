import { open, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { bash } from "@varve-tools/corpus";
import { createLinuxMounter } from "@varve/mount-linux";
import { labelUidMapping } from "@varve/snapshots";
import type { Snapshotter } from "@varve/snapshots";
import { describe, expect, test } from "vitest";
import { whyNoFaults } from "../src/faults/missing.ts";
import { backends, bytesOf, LayerStoreScene, once } from "../src/layer-store/layer-store-scene.ts";
import { file, hardlink, layerOf, symlink as linkTo } from "../src/layers/layer-of.ts";
import { base, changesIn, isMounted, names, nothing, opened, within } from "../src/layer-store/rw-scene.ts";

const missing = await whyNoFaults([]);

/** What is recorded of one store, as if other processes had written it. */
function alter(scene: LayerStoreScene, sql: string): void {
  const database = new DatabaseSync(join(scene.path, "layers/layers.db"));
  database.exec(`PRAGMA busy_timeout = 5000; ${sql}`);
  database.close();
}

/** A snapshotter that fails to remove what `fails` says. */
function failing(snapshotter: Snapshotter, fails: (name: string) => boolean): Snapshotter {
  return new Proxy(snapshotter, {
    get(target, key) {
      const found: unknown = Reflect.get(target, key, target);
      if (typeof found !== "function") return found;
      return (...given: unknown[]) => {
        if (key === "remove" && fails(String(given[0]))) return Promise.reject(new Error("no"));
        return Reflect.apply(found, target, given) as unknown;
      };
    },
  });
}

describe.skipIf(missing !== undefined).each(backends)(
  `what goes wrong with read-write layers over %s (privileged${missing === undefined ? "" : `: ${missing}`})`,
  (backend) => {
    // S1.44: its fix
    test("a failing init leaves nothing, and the name is free", async () => {
      await using here = await opened(backend);
      const { scene, store } = here;
      const parent = await store.register(once(base));
      const reason = new Error("init failed");
      const init = async (root: string): Promise<void> => {
        await writeFile(join(root, "half"), "made");
        throw reason;
      };
      await expect(store.createRWLayer("one", { parent: parent.chainId, init })).rejects.toBe(reason);
      expect(await scene.snapshots()).toEqual({ committed: [parent.chainId], others: 0 });
      expect(await Array.fromAsync(store.listRWLayers())).toEqual([]);
      const layer = await store.createRWLayer("one", { parent: parent.chainId });
      await within(layer, async (root) => expect(await readdir(root)).not.toContain("half"));
      expect(await parent.release()).toEqual([]);
      expect(names(await layer.release())).toEqual([parent.chainId]);
    });

    // S1.45: its fix
    test("what fails after init leaves nothing either", async () => {
      await using here = await opened(backend);
      const { scene, store } = here;
      const parent = await store.register(once(base));
      const labels = { [labelUidMapping]: "nonsense" };
      await expect(store.createRWLayer("one", { parent: parent.chainId, init: nothing, labels })).rejects.toMatchObject(
        {
          code: "ERR_INVALID_ARGUMENT",
        },
      );
      const controller = new AbortController();
      const reason = new Error("enough");
      const aborting = store.createRWLayer("one", {
        parent: parent.chainId,
        init: async () => controller.abort(reason),
        signal: controller.signal,
      });
      await expect(aborting).rejects.toBe(reason);
      expect(await scene.snapshots()).toEqual({ committed: [parent.chainId], others: 0 });
      // Nobody has released it.
      expect(names(await parent.release())).toEqual([parent.chainId]);
    });

    // S1.6, C-LS.3
    test("a store that is opened again has its read-write layers, their changes and their parents", async () => {
      await using here = await opened(backend);
      const { scene, store } = here;
      const parent = await store.register(once(base));
      const layer = await store.createRWLayer("one", { parent: parent.chainId, init: nothing });
      const root = await layer.mount();
      await writeFile(join(root, "kept"), "kept");
      await store.close();
      expect(await isMounted(root)).toBe(false);
      const again = await scene.store();
      expect(await Array.fromAsync(again.listRWLayers())).toEqual([
        { name: "one", parent: parent.chainId, snapshot: layer.snapshot },
      ]);
      await expect(again.createRWLayer("one")).rejects.toMatchObject({ code: "ERR_ALREADY_EXISTS" });
      // Another reference to the parent, released last but one: the layer stands on it.
      expect(await (await again.get(parent.chainId)).release()).toEqual([]);
      const found = await again.getRWLayer("one");
      expect(await changesIn(found)).toEqual(["added kept"]);
      expect(names(await found.release())).toEqual([parent.chainId]);
      expect(await scene.snapshots()).toEqual({ committed: [], others: 0 });
    });

    test("what a dead process has mounted does not count: it is taken off, or mounted anew", async () => {
      await using here = await opened(backend);
      const { scene, store } = here;
      const dead = await store.createRWLayer("one");
      const root = await dead.mount();
      await writeFile(join(root, "f"), "f");
      alter(scene, "UPDATE rw_refs SET owner = ''");
      const living = await store.getRWLayer("one");
      const places = async (): Promise<unknown> =>
        (await Array.fromAsync(store.listRWLayers())).map(({ mountedOn }) => mountedOn);
      expect(await places()).toEqual([undefined]);
      expect(await living.mount()).toBe(root);
      expect(await places()).toEqual([root]);
      expect(await readFile(join(root, "f"), "utf8")).toBe("f");
      await living.unmount();
      expect(await places()).toEqual([undefined]);
      expect(await isMounted(root)).toBe(false);
      await living.mount();
      alter(scene, "UPDATE rw_refs SET owner = ''");
      await store.cleanup();
      expect(await isMounted(root)).toBe(false);
      const last = await store.getRWLayer("one");
      expect(await last.size()).toBe(1);
      expect(await last.release()).toEqual([]);
      expect(await scene.snapshots()).toEqual({ committed: [], others: 0 });
    });

    test("closing the store ends what is being made, and waits until it is gone", async () => {
      await using here = await opened(backend);
      const { scene, store } = here;
      let closing: Promise<void> | undefined;
      const init = async (root: string): Promise<void> => {
        closing = store.close();
        await writeFile(join(root, "f"), "f");
      };
      await expect(store.createRWLayer("one", { init })).rejects.toMatchObject({ code: "ERR_ABORTED" });
      await closing;
      expect(await scene.snapshots()).toEqual({ committed: [], others: 0 });
      const again = await scene.store();
      expect(await Array.fromAsync(again.listRWLayers())).toEqual([]);
      await using layer = await again.createRWLayer("one");
      expect(layer.name).toBe("one");
    });

    test("a mount that is busy stays, and is used as it is", async () => {
      await using here = await opened(backend, { mounter: createLinuxMounter({ busyTimeoutMs: 20 }) });
      const { scene, store } = here;
      const dead = await store.createRWLayer("one");
      const root = await dead.mount();
      const busy = await open(join(root, "f"), "w");
      await expect(dead.unmount()).rejects.toMatchObject({ code: "ERR_UNAVAILABLE" });
      alter(scene, "UPDATE rw_refs SET owner = ''");
      await store.cleanup();
      expect(await isMounted(root)).toBe(true);
      await using living = await store.getRWLayer("one");
      expect(await living.mount()).toBe(root);
      await busy.writeFile("still there");
      await busy.close();
      expect(await readFile(join(root, "f"), "utf8")).toBe("still there");
      await living.unmount();
      expect(await isMounted(root)).toBe(false);
      expect(await living.size()).toBe(11);
    });

    test("what a dead process has half made or half removed goes with a cleanup, or when the name is taken", async () => {
      await using here = await opened(backend);
      const { scene, store } = here;
      const parent = await store.register(once(base));
      const options = { parent: parent.chainId, init: nothing };
      await store.createRWLayer("made", options);
      await store.createRWLayer("taken", options);
      await store.createRWLayer("removed", options);
      await store.createRWLayer("living", options);
      alter(scene, "UPDATE rw_layers SET state = 'making', owner = '' WHERE name IN ('made', 'taken')");
      alter(scene, "UPDATE rw_layers SET state = 'going' WHERE name = 'removed'");
      alter(scene, "UPDATE rw_layers SET state = 'making' WHERE name = 'living'");
      await using taken = await store.createRWLayer("taken");
      expect(taken.parent).toBeUndefined();
      await store.cleanup();
      expect(await Array.fromAsync(store.listRWLayers())).toEqual([{ name: "taken", snapshot: taken.snapshot }]);
      await expect(store.createRWLayer("living")).rejects.toMatchObject({ code: "ERR_ALREADY_EXISTS" });
      // The parent, and what the living one is made of.
      expect(await scene.snapshots()).toMatchObject({ committed: { length: 2 }, others: 2 });
    });

    // S1.76: what leads out stays inside or is refused
    test.each([
      ["a hard link to what is above the root", [hardlink("l", "../../escaped")], "ERR_INVALID_DATA"],
      ["a hard link through a link", [linkTo("s", "/"), hardlink("l", "s/etc/hostname")], "ERR_INVALID_DATA"],
      ["a name above the root", [file("../escaped", "out")], "ERR_INVALID_DATA"],
    ])("%s in an archive that is applied is refused, and nothing is made outside", async (_what, items, code) => {
      await using here = await opened(backend);
      const { scene, store } = here;
      await using layer = await store.createRWLayer("one");
      await within(layer, async (root) => symlink("..", join(root, "up")));
      await expect(layer.apply(once(layerOf([file("before", "b"), ...items])))).rejects.toMatchObject({
        code,
        message: expect.stringContaining("read-write layer one"),
      });
      // Links that were there before lead nowhere else either.
      await layer.apply(once(layerOf([file("up/escaped", "in")])));
      await within(layer, async (root) => expect(await readFile(join(root, "escaped"), "utf8")).toBe("in"));
      const found = await bash('find "$1" -name escaped', [scene.path]);
      expect(found.stdout.trim().split("\n")).toEqual([expect.stringContaining("/snapshots/")]);
      expect((await scene.files()).scratch).toEqual([]);
    });

    // S1.76
    test("an error or an abort leaves what was there before, and the layer can be used", async () => {
      await using here = await opened(backend);
      const { scene, store } = here;
      await using parent = await store.register(once(base));
      await using layer = await store.createRWLayer("one", { parent: parent.chainId });
      await within(layer, async (root) => writeFile(join(root, "mine"), "mine"));
      const archive = layerOf([file("first", "1"), file("second", "2".repeat(3000))]);
      await expect(layer.apply(once(archive.subarray(0, 2500)))).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
      const reason = new Error("enough");
      const controller = new AbortController();
      const aborting = layer.apply(
        async function* aborted() {
          yield archive.subarray(0, 1024);
          controller.abort(reason);
          yield archive.subarray(1024);
        },
        { signal: controller.signal },
      );
      await expect(aborting).rejects.toBe(reason);
      const broken = new Error("broken pipe");
      const cutOff = async function* cut(): AsyncGenerator<Uint8Array> {
        yield archive.subarray(0, 1024);
        throw broken;
      };
      await expect(layer.apply(cutOff())).rejects.toBe(broken);
      const left = await changesIn(layer);
      expect(left).toContain("added mine");
      expect(["added first", "added mine", "added second"]).toEqual(expect.arrayContaining(left));
      expect((await scene.files()).scratch).toEqual([]);
      expect((await scene.snapshots()).others).toBe(1);
      await layer.apply(once(archive));
      expect(await layer.size()).toBe(3005);
    });

    // S1.76: two overlays must not write to one directory
    test("an archive is not applied to a layer that is mounted, by whoever, nor to one whose files are gone", async () => {
      await using scene = await LayerStoreScene.open(backend);
      let place: string | undefined;
      const store = await scene.store({
        mountedOn: async () => place,
        mounter: createLinuxMounter({ busyTimeoutMs: 20 }),
      });
      const layer = await store.createRWLayer("one");
      const other = await store.getRWLayer("one");
      const apply = (): Promise<unknown> => layer.apply(once(base));
      const root = await other.mount();
      await expect(apply()).rejects.toMatchObject({
        code: "ERR_FAILED_PRECONDITION",
        message: "read-write layer one: is mounted by a process, which has to unmount it first",
      });
      const busy = await open(join(root, "f"), "w");
      alter(scene, "UPDATE rw_refs SET mounts = 0");
      await expect(apply()).rejects.toMatchObject({ code: "ERR_UNAVAILABLE" });
      await expect(layer.whileUnmounted(async () => undefined)).rejects.toMatchObject({ code: "ERR_UNAVAILABLE" });
      await busy.close();
      place = "/elsewhere";
      await expect(apply()).rejects.toMatchObject({
        code: "ERR_FAILED_PRECONDITION",
        message: "read-write layer one: is mounted on /elsewhere, unmount that first",
      });
      expect(await isMounted(root)).toBe(true);
      place = undefined;
      await apply();
      expect(await isMounted(root)).toBe(false);
      expect(await changesIn(layer)).toContain("added d/a");
      // While it is applied nobody mounts it.
      let mounting: Promise<string> | undefined;
      const during: string[] = [];
      await layer.apply(async function* archive() {
        mounting = other.mount();
        void mounting.then(() => during.push("mounted"));
        yield base;
        during.push("read");
      });
      await mounting;
      expect(during).toEqual(["read", "mounted"]);
      await other.unmount();
      await scene.snapshotter.remove(layer.snapshot);
      await expect(apply()).rejects.toMatchObject({
        code: "ERR_NOT_FOUND",
        message: "read-write layer one: its files are gone",
      });
      await other.release();
      await layer.release();
      await expect(apply()).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
    });

    // S1.48
    test.each(["layers-rw/", "layers-init/"])(
      "a release that cannot remove %s can be repeated, and is completed by a cleanup",
      async (prefix) => {
        await using scene = await LayerStoreScene.open(backend);
        let fails = true;
        const snapshotter = failing(scene.snapshotter, (name) => fails && name.startsWith(prefix));
        const store = await scene.store({ snapshotter });
        for (const how of ["repeat", "clean up"]) {
          fails = true;
          const parent = await store.register(once(base));
          const layer = await store.createRWLayer("one", { parent: parent.chainId, init: nothing });
          expect(await parent.release()).toEqual([]);
          await expect(layer.release()).rejects.toThrow("no");
          await expect(store.getRWLayer("one")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
          expect((await scene.snapshots()).committed).toContain(parent.chainId);
          fails = false;
          if (how === "clean up") await store.cleanup();
          expect(names(await layer.release())).toEqual(how === "repeat" ? [parent.chainId] : []);
          expect(await scene.snapshots()).toEqual({ committed: [], others: 0 });
        }
      },
    );

    test("with a holder everything is held before it is made, and what is committed is left to the collector", async () => {
      const held = new Set<string>();
      const holder = {
        hold: async (name: string) => void held.add(name),
        release: async (name: string) => void held.delete(name),
      };
      await using scene = await LayerStoreScene.open(backend);
      const { snapshotter } = scene;
      const made: unknown[][] = [];
      const watched = new Proxy(snapshotter, {
        get(target, key) {
          const found: unknown = Reflect.get(target, key, target);
          if (typeof found !== "function") return found;
          return (...given: unknown[]) => {
            if (["commit", "prepare", "view"].includes(String(key))) made.push([given[0], held.has(String(given[0]))]);
            return Reflect.apply(found, target, given) as unknown;
          };
        },
      });
      const store = await scene.store({ holder, snapshotter: watched });
      const parent = await store.register(once(base));
      const layer = await store.createRWLayer("one", { parent: parent.chainId, init: nothing });
      await within(layer, async (root) => writeFile(join(root, "f"), "f"));
      expect(await layer.size()).toBe(1);
      expect(held.size).toBe(3);
      expect(made.filter(([, isHeld]) => isHeld !== true)).toEqual([]);
      expect(made.length).toBeGreaterThan(5);
      expect(await parent.release()).toEqual([]);
      expect(names(await layer.release())).toEqual([parent.chainId]);
      expect([...held]).toEqual([]);
      const left = await scene.snapshots();
      expect(left).toMatchObject({ committed: { length: 2 }, others: 0 });
      const broken = { init: () => Promise.reject(new Error("no")) };
      await expect(store.createRWLayer("two", broken)).rejects.toThrow("no");
      expect([...held]).toEqual([]);
      expect(await scene.snapshots()).toEqual(left);
    });

    test("a stream that is left, and one that is aborted, leave nothing behind", async () => {
      await using here = await opened(backend);
      const { scene, store } = here;
      await using parent = await store.register(once(base));
      await using layer = await store.createRWLayer("one", { parent: parent.chainId });
      await within(layer, async (root) => {
        for (const name of ["a", "b", "c"]) await writeFile(join(root, name), Buffer.alloc(3_000_000, name));
      });
      for (const left of [layer.tarStream(), layer.changes()]) {
        await left.next();
        await left.return();
      }
      const controller = new AbortController();
      const reason = new Error("enough");
      const stream = layer.tarStream({ signal: controller.signal });
      await stream.next();
      controller.abort(reason);
      await expect(bytesOf(stream)).rejects.toBe(reason);
      await expect(layer.commit({ signal: controller.signal })).rejects.toBe(reason);
      await expect(layer.size({ signal: controller.signal })).rejects.toBe(reason);
      await expect(layer.mount({ signal: controller.signal })).rejects.toBe(reason);
      expect((await scene.snapshots()).others).toBe(1);
      expect((await scene.files()).scratch).toEqual([]);
      expect(await layer.size()).toBe(9_000_000);
      await using committed = await layer.commit();
      expect(committed.diffSize).toBe(9_000_000);
    });
  },
);
