import assert from "node:assert/strict";
import { isReadOnly } from "@varve/mount";
import type { SnapshotterCase } from "../case.ts";
import { commitEmpty, rejects } from "../material.ts";

export const mountsCases: readonly SnapshotterCase[] = [
  {
    name: "mounts are the same each time",
    rows: ["U-SN.1", "S2.10"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await commitEmpty(snapshotter, "base");
      for (const parent of [undefined, "base"]) {
        const active = await snapshotter.prepare(`active-${parent}`, parent);
        const view = await snapshotter.view(`view-${parent}`, parent);
        assert.ok(active.length > 0);
        assert.ok(view.length > 0);
        assert.deepEqual(await snapshotter.mounts(`active-${parent}`), active);
        assert.deepEqual(await snapshotter.mounts(`view-${parent}`), view);
      }
    },
  },
  {
    name: "a committed snapshot has no mounts",
    rows: ["C-MS.3", "U-MS.3"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await commitEmpty(snapshotter, "base");
      await rejects(snapshotter.mounts("base"), "ERR_FAILED_PRECONDITION");
    },
  },
  {
    name: "the mounts of a view are all read-only",
    rows: ["C-SN.16", "U-MNT.2"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await commitEmpty(snapshotter, "one");
      await commitEmpty(snapshotter, "two", "one");
      for (const parent of [undefined, "one", "two"]) {
        for (const mount of await snapshotter.view(`view-${parent}`, parent)) {
          assert.ok(isReadOnly(mount), JSON.stringify(mount));
        }
        const active = await snapshotter.prepare(`active-${parent}`, parent);
        assert.ok(!active.every(isReadOnly), JSON.stringify(active));
      }
    },
  },
  {
    name: "no two active snapshots have the same mounts",
    rows: ["C-MS.4", "U-MS.1"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await commitEmpty(snapshotter, "base");
      const seen = new Set<string>();
      for (const parent of [undefined, "base"]) {
        for (const key of ["one", "two"]) {
          // Again after a removal: what was there may still be mounted somewhere.
          for (let round = 0; round < 2; round += 1) {
            seen.add(JSON.stringify(await snapshotter.prepare(key, parent)));
            if (round === 0) await snapshotter.remove(key);
          }
        }
        for (const key of ["one", "two"]) await snapshotter.remove(key);
      }
      assert.equal(seen.size, 8);
    },
  },
];
