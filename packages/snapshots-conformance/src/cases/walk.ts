import assert from "node:assert/strict";
import type { SnapshotInfo } from "@varve/snapshots";
import type { SnapshotterCase } from "../case.ts";
import { commitEmpty, list, names, oneOfEach } from "../material.ts";

export const walkCases: readonly SnapshotterCase[] = [
  {
    name: "a new snapshotter has nothing to walk",
    needs: [],
    async run({ open }) {
      assert.deepEqual(await names(await open()), []);
    },
  },
  {
    // C-SN.8, C-MS.2
    name: "a walk gives every snapshot once, as stat gives it",
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
    // C-SN.17
    name: "any call may be made during a walk",
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
    name: "a walk can be left early",
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
