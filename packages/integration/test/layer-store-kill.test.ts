import { temporaryDirectory } from "@varve-tools/corpus";
import { describe, expect, test } from "vitest";
import { whyNoFaults } from "../src/faults/missing.ts";
import { chooseSeed, randomFrom } from "../src/faults/random.ts";
import { KilledStore } from "../src/layer-store/killed-store.ts";
import { backends, bytesOf, LayerStoreScene, once } from "../src/layer-store/layer-store-scene.ts";
import { tinyArchive } from "../src/layer-store/tiny-archives.ts";
import { rounds, thorough } from "../src/rounds.ts";

const missing = await whyNoFaults([]);
const kills = rounds(50, 8);
/** Each process opens a store, and does so many things with it at most before it is killed. */
const mostOperations = 20;
/** Milliseconds. */
const limit = thorough ? 3_600_000 : undefined;

// Promises 1 to 8 of faults.md, as far as layers go; S1.3, S1.22, S1.36, S1.62
describe.skipIf(missing !== undefined).each(backends)(
  `a process that is killed while it works on a layer store over %s (privileged${missing === undefined ? "" : `: ${missing}`})`,
  (backend) => {
    test(
      `in the middle of ${kills} random operations leaves what it has acknowledged, each layer whole, and nothing else`,
      async () => {
        const seed = chooseSeed();
        const random = randomFrom(seed);
        process.stdout.write(`kills of a layer store over ${backend}: VARVE_SEED=${seed}\n`);
        await using directory = await temporaryDirectory();
        const store = new KilledStore({ backend, base: directory.path });
        let [acknowledged, asked, processes] = [0, 0, 0];
        // Now and then one is killed between two operations.
        for (let interrupted = 0; interrupted < kills; processes += 1) {
          const operation = 1 + Math.floor(random() * mostOperations);
          const killed = await store.kill(seed + processes, { operation, part: random() });
          asked += operation - 1;
          acknowledged += killed.acknowledged;
          if (killed.last !== undefined) interrupted += 1;
        }
        process.stdout.write(`${acknowledged} operations acknowledged, ${processes} processes\n`);
        expect(acknowledged).toBeGreaterThanOrEqual(asked);
      },
      limit,
    );

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
  },
);
