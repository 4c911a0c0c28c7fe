import { mkdir, readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { currentOwner, ownerToFileName } from "@varve/locks";
import { createLinuxMounter } from "@varve/mount-linux";
import { exec } from "@varve-tools/corpus";
import { describe, expect, test } from "vitest";
import { whyNoFaults } from "../src/faults/missing.ts";
import { backends, bytesOf, LayerStoreScene, once } from "../src/layer-store/layer-store-scene.ts";
import { isMounted } from "../src/layer-store/rw-scene.ts";
import { tinyArchive } from "../src/layer-store/tiny-archives.ts";

const missing = await whyNoFaults([]);

describe.skipIf(missing !== undefined).each(backends)(
  `what others have left on layers over %s (privileged${missing === undefined ? "" : `: ${missing}`})`,
  (backend) => {
    // S1.35 to S1.37, S1.62
    test("a layer that somebody else's snapshot stands on goes when that is gone, and is no obstacle meanwhile", async () => {
      await using scene = await LayerStoreScene.open(backend);
      const store = await scene.store();
      const base = await store.register(once(tinyArchive(0).given));
      const top = await store.register(once(tinyArchive(1).given), { parent: base.chainId });
      await base.release();
      await scene.snapshotter.prepare("theirs", top.chainId);
      await expect(top.release()).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
      const again = await scene.store();
      expect(await Array.fromAsync(again.list())).toEqual([]);
      const back = await again.register(once(tinyArchive(0).given));
      expect((await bytesOf(back.tarStream())).equals(tinyArchive(0).tar)).toBe(true);
      await scene.snapshotter.remove("theirs");
      await again.cleanup();
      expect(await scene.snapshots()).toEqual({ committed: [base.chainId], others: 0 });
      expect((await scene.files()).records.length).toBe(1);
      expect((await back.release()).map(({ chainId }) => chainId)).toEqual([base.chainId]);
      expect(await scene.snapshots()).toEqual({ committed: [], others: 0 });
    });

    // S1.35, S1.36: what is found there before any cleanup
    test("a layer on which a killed process was making another goes with its last reference", async () => {
      await using scene = await LayerStoreScene.open(backend);
      const store = await scene.store();
      const owner = await deadOwner();
      const base = await store.register(once(tinyArchive(0).given));
      const made = await store.register(once(tinyArchive(1).given), { parent: base.chainId });
      await scene.snapshotter.prepare(`layers/${ownerToFileName(owner)}/being-unpacked`, base.chainId);
      const database = new DatabaseSync(join(scene.path, "layers/layers.db"));
      database.prepare("UPDATE layers SET state = 'making', owner = ? WHERE chain = ?").run(owner, made.chainId);
      database.exec("DELETE FROM refs WHERE layer IN (SELECT id FROM layers WHERE state = 'making')");
      database.close();
      expect((await base.release()).map(({ chainId }) => chainId)).toEqual([base.chainId]);
      expect(await scene.snapshots()).toEqual({ committed: [], others: 0 });
      expect((await scene.files()).records).toEqual([]);
    });

    // S1.44, S1.49
    test("a read-write layer of which a killed process was reading goes with its last reference", async () => {
      await using scene = await LayerStoreScene.open(backend);
      const store = await scene.store();
      const layer = await store.createRWLayer("web", { init: async () => undefined });
      const [init] = (await scene.snapshots()).committed;
      await scene.snapshotter.view(`layers/${ownerToFileName(await deadOwner())}/being-read`, init);
      await layer.release();
      expect(await scene.snapshots()).toEqual({ committed: [], others: 0 });
    });

    // S1.44: killed while init was at work
    test("what a killed process has left mounted comes off with a cleanup, and its snapshot goes", async () => {
      await using scene = await LayerStoreScene.open(backend);
      const store = await scene.store({ mountDirectory: scene.path });
      const owner = ownerToFileName(await deadOwner());
      const mounts = await scene.snapshotter.prepare(`layers/${owner}/being-filled`, undefined);
      const point = join(scene.path, `varve-mount-${owner}.abcdef`);
      await mkdir(point);
      await createLinuxMounter().mount(mounts, point);
      await store.cleanup();
      expect(await scene.snapshots()).toEqual({ committed: [], others: 0 });
      expect(await isMounted(point)).toBe(false);
      expect(await readdir(scene.path)).not.toContain(basename(point));
    });

    // S1.35
    test("a layer on which a living process is making another stays", async () => {
      await using scene = await LayerStoreScene.open(backend);
      const store = await scene.store();
      const base = await store.register(once(tinyArchive(0).given));
      await scene.snapshotter.prepare(`layers/${ownerToFileName(currentOwner())}/being-unpacked`, base.chainId);
      await expect(base.release()).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
      expect(await scene.snapshots()).toEqual({ committed: [base.chainId], others: 1 });
    });
  },
);

/** A process that has ended. */
async function deadOwner(): Promise<string> {
  const module = JSON.stringify(import.meta.resolve("@varve/locks"));
  const program = `import { currentOwner } from ${module}; process.stdout.write(currentOwner());`;
  const { stdout } = await exec(process.execPath, ["--input-type=module", "--eval", program]);
  return stdout;
}
