import assert from "node:assert/strict";
import type { SnapshotterCase } from "../case.ts";
import { assertKind, commitEmpty, list, names, oneOfEach, rejects } from "../material.ts";

export const removeCases: readonly SnapshotterCase[] = [
  {
    name: "a snapshot that others stand on cannot be removed",
    rows: ["C-SN.13", "C-MS.13", "U-MS.6"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await commitEmpty(snapshotter, "base");
      await snapshotter.prepare("active", "base");
      await rejects(snapshotter.remove("base"), "ERR_FAILED_PRECONDITION");
      await snapshotter.commit("child", "active");
      await rejects(snapshotter.remove("base"), "ERR_FAILED_PRECONDITION");
      await snapshotter.remove("child");
      await snapshotter.view("view", "base");
      await rejects(snapshotter.remove("base"), "ERR_FAILED_PRECONDITION");
      await snapshotter.remove("view");
      await snapshotter.remove("base");
      assert.deepEqual(await names(snapshotter), []);
    },
  },
  {
    name: "a removal that is refused leaves the snapshot as it was",
    rows: ["C-SN.13", "U-MS.6"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await oneOfEach(snapshotter);
      const before = await list(snapshotter.walk());
      const mounts = await snapshotter.mounts("active");
      await rejects(snapshotter.remove("committed"), "ERR_FAILED_PRECONDITION");
      assert.deepEqual(await list(snapshotter.walk()), before);
      assert.deepEqual(await snapshotter.mounts("active"), mounts);
      await snapshotter.prepare("another", "committed");
    },
  },
  {
    name: "a removed name can be used again",
    rows: ["C-SN.7", "C-MS.13", "S2.9"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await oneOfEach(snapshotter);
      for (const name of ["active", "view", "committed"]) {
        await snapshotter.remove(name);
        await rejects(snapshotter.stat(name), "ERR_NOT_FOUND");
        await rejects(snapshotter.remove(name), "ERR_NOT_FOUND");
        await snapshotter.prepare(name, undefined);
        await assertKind(snapshotter, name, "active");
        await snapshotter.remove(name);
      }
    },
  },
  {
    name: "a snapshot can be removed as soon as it is committed",
    rows: ["C-SN.W1", "C-SN.7", "S2.9"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      const labels = { old: "yes" };
      for (let round = 0; round < 3; round += 1) {
        await snapshotter.prepare("key", undefined, { labels });
        await snapshotter.commit("name", "key", { labels });
        // The key belongs to nobody now, so there is nothing that could be removed by it.
        await rejects(snapshotter.remove("key"), "ERR_NOT_FOUND");
        await assertKind(snapshotter, "name", "committed");
        await snapshotter.remove("name");
        await rejects(snapshotter.remove("name"), "ERR_NOT_FOUND");
        await rejects(snapshotter.mounts("key"), "ERR_NOT_FOUND");
        assert.deepEqual(await names(snapshotter), []);
      }
      await snapshotter.prepare("name", undefined);
      assert.deepEqual({ ...(await snapshotter.stat("name")).labels }, {});
    },
  },
];
