import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { canCleanup } from "@varve/snapshots";
import type { Cleaner, Snapshotter } from "@varve/snapshots";
import type { SnapshotterCase } from "../case.ts";
import { commitEmpty, directoryOf, list, names, oneOfEach, rejectsWith, together } from "../material.ts";

export const cleanupCases: readonly SnapshotterCase[] = [
  {
    name: "a cleanup takes nothing that a snapshot owns",
    rows: ["U-SN.1", "U-OVL.9"],
    needs: ["cleanup"],
    async run({ open }) {
      const snapshotter = cleaner(await open());
      await oneOfEach(snapshotter);
      const before = await list(snapshotter.walk());
      await snapshotter.cleanup();
      await snapshotter.cleanup();
      assert.deepEqual(await list(snapshotter.walk()), before);
      await snapshotter.commit("name", "active");
      await snapshotter.prepare("key", "name");
    },
  },
  {
    name: "a cleanup may run while snapshots are made and removed",
    rows: ["U-OVL.9"],
    needs: ["cleanup"],
    async run({ open }) {
      const snapshotter = cleaner(await open());
      await commitEmpty(snapshotter, "base");
      const makers = Array.from({ length: 4 }, async (_, maker) => {
        for (let round = 0; round < 5; round += 1) {
          const key = `${maker}-${round}`;
          await snapshotter.prepare(key, "base");
          await snapshotter.commit(`${key}-committed`, key);
          if (round % 2 === 0) await snapshotter.remove(`${key}-committed`);
        }
      });
      const making = { still: true };
      const keepCleaning = async (): Promise<void> => {
        while (making.still) {
          await snapshotter.cleanup();
          // A cleanup that has nothing to wait for would never let the others go on.
          await new Promise((resolve) => setImmediate(resolve));
        }
      };
      await together([together(makers).finally(() => (making.still = false)), keepCleaning()]);
      assert.equal((await names(snapshotter)).length, 1 + 4 * 2);
    },
  },
  {
    name: "an aborted signal rejects a cleanup with its own reason",
    rows: ["U-SN.1"],
    needs: ["cleanup"],
    async run({ open }) {
      const reason = new Error("enough");
      await rejectsWith(cleaner(await open()).cleanup({ signal: AbortSignal.abort(reason) }), reason);
    },
  },
  {
    name: "a cleanup takes active snapshots and views whose files are gone, and no committed one",
    rows: ["F12", "U-OVL.9"],
    needs: ["cleanup", "bind"],
    async run({ open }) {
      const snapshotter = cleaner(await open());
      await oneOfEach(snapshotter);
      const lost = [
        await snapshotter.prepare("lost-active", undefined, { labels: { a: "b" } }),
        await snapshotter.view("lost-view", undefined),
        await snapshotter.prepare("lost", undefined),
      ];
      await snapshotter.commit("lost-committed", "lost");
      for (const mounts of lost) await rm(directoryOf(mounts), { recursive: true });
      await snapshotter.cleanup();
      // Others may stand on a committed one, and it is for somebody to decide what becomes of them.
      assert.deepEqual(await names(snapshotter), ["active", "committed", "lost-committed", "view"]);
      await snapshotter.prepare("lost-active", undefined);
      await snapshotter.cleanup();
      assert.equal((await names(snapshotter)).length, 5);
    },
  },
];

function cleaner(snapshotter: Snapshotter): Snapshotter & Cleaner {
  assert.ok(canCleanup(snapshotter), "does not implement Cleaner");
  return snapshotter;
}
