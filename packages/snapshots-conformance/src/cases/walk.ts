import assert from "node:assert/strict";
import type { SnapshotInfo } from "@varve/snapshots";
import type { SnapshotterCase } from "../case.ts";
import { commitEmpty, list, names, oneOfEach } from "../material.ts";

export const walkCases: readonly SnapshotterCase[] = [
  {
    name: "a new snapshotter has nothing to walk",
    rows: ["C-MS.1", "C-MS.2"],
    needs: [],
    async run({ open }) {
      assert.deepEqual(await names(await open()), []);
    },
  },
  {
    name: "a walk gives every snapshot once, as stat gives it",
    rows: ["C-SN.8", "C-MS.2", "U-SN.3"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await oneOfEach(snapshotter);
      await snapshotter.update("committed", { a: "b" });
      const found = await list(snapshotter.walk());
      assert.deepEqual(found.map((info) => info.name).toSorted(), ["active", "committed", "view"]);
      for (const info of found) assert.deepEqual(info, await snapshotter.stat(info.name));
    },
  },
  {
    name: "a walk over many snapshots gives every one once",
    rows: ["C-MS.2"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await commitEmpty(snapshotter, "base");
      // More than comes in one batch, likely.
      const keys = Array.from({ length: 300 }, (_, index) => `key-${index}`);
      for (const key of keys) await snapshotter.view(key, "base");
      assert.deepEqual(await names(snapshotter), ["base", ...keys].toSorted());
    },
  },
  {
    name: "any call may be made during a walk",
    rows: ["C-SN.17", "C-SN.W7"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      for (const name of ["a", "b", "c", "d"]) await commitEmpty(snapshotter, name);
      const seen: string[] = [];
      for await (const info of snapshotter.walk()) {
        if (info.kind !== "committed") continue;
        seen.push(info.name);
        assert.equal((await snapshotter.stat(info.name)).kind, "committed");
        await snapshotter.update(info.name, { seen: "yes" });
        await snapshotter.view(`view-${info.name}`, info.name);
        await snapshotter.remove(`view-${info.name}`);
        await snapshotter.remove(info.name);
      }
      assert.deepEqual(seen.toSorted(), ["a", "b", "c", "d"]);
      assert.deepEqual(await names(snapshotter), []);
    },
  },
  {
    name: "what a walk has not come to may be removed meanwhile",
    rows: ["C-SN.W7", "S2.13"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      const all = Array.from({ length: 20 }, (_, index) => `${index}`);
      for (const name of all) await snapshotter.prepare(name, undefined);
      const seen: string[] = [];
      for await (const { name } of snapshotter.walk()) {
        if (seen.length === 0) for (const other of all) if (other !== name) await snapshotter.remove(other);
        seen.push(name);
      }
      // Whether it still shows those is up to the snapshotter; it neither stops nor shows one twice.
      assert.equal(new Set(seen).size, seen.length);
      assert.deepEqual(await names(snapshotter), seen.slice(0, 1));
    },
  },
  {
    name: "a walk can be left early",
    rows: ["C-SN.17"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await oneOfEach(snapshotter);
      let first: SnapshotInfo | undefined;
      for await (const info of snapshotter.walk()) {
        first = info;
        break;
      }
      assert.ok(first !== undefined);
      await snapshotter.prepare("after", undefined);
      assert.deepEqual(await names(snapshotter), ["active", "after", "committed", "view"]);
    },
  },
];
