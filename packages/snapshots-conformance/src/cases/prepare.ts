import assert from "node:assert/strict";
import type { SnapshotterCase } from "../case.ts";
import { assertKind, commitEmpty, has, names, oneOfEach, rejects } from "../material.ts";

export const prepareCases: readonly SnapshotterCase[] = [
  {
    name: "an active snapshot is found by its key",
    rows: ["C-SN.2", "C-MS.1", "C-MS.3", "C-MS.4", "S2.4", "U-SN.2", "U-SN.3"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await commitEmpty(snapshotter, "base");
      await snapshotter.prepare("key", "base");
      await assertKind(snapshotter, "key", "active");
      assert.equal((await snapshotter.stat("key")).parent, "base");
      await snapshotter.prepare("rootless", undefined);
      assert.equal((await snapshotter.stat("rootless")).parent, undefined);
    },
  },
  {
    name: "a view is found by its key",
    rows: ["C-MS.1", "C-MS.3", "C-MS.4", "S2.8", "U-SN.2", "U-SN.3"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await commitEmpty(snapshotter, "base");
      await snapshotter.view("key", "base");
      await assertKind(snapshotter, "key", "view");
      assert.equal((await snapshotter.stat("key")).parent, "base");
      await snapshotter.view("of-nothing", undefined);
      assert.equal((await snapshotter.stat("of-nothing")).parent, undefined);
    },
  },
  {
    name: "parents are those given, whatever the tree of snapshots looks like",
    rows: ["C-MS.14", "U-MS.3", "S2.4"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      const parents: Readonly<Record<string, string | undefined>> = {
        root: undefined,
        "root-1": "root",
        "root-2": "root",
        "root-1-1": "root-1",
        "root-1-2": "root-1",
        "root-1-1-1": "root-1-1",
        lone: undefined,
      };
      for (const [name, parent] of Object.entries(parents)) await commitEmpty(snapshotter, name, parent);
      for (const name of Object.keys(parents)) {
        await snapshotter.prepare(`active-${name}`, name);
        await snapshotter.view(`view-${name}`, name);
      }
      for (const [name, parent] of Object.entries(parents)) {
        assert.equal((await snapshotter.stat(name)).parent, parent, name);
        for (const kind of ["active", "view"]) {
          assert.equal((await snapshotter.stat(`${kind}-${name}`)).parent, name);
        }
      }
    },
  },
  {
    name: "a parent must exist",
    rows: ["S2.6", "C-MS.5", "U-MS.2"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await rejects(snapshotter.prepare("key", "nobody"), "ERR_NOT_FOUND");
      await rejects(snapshotter.view("key", "nobody"), "ERR_NOT_FOUND");
      assert.deepEqual(await names(snapshotter), []);
    },
  },
  {
    name: "a parent must be committed",
    rows: ["C-MS.7", "U-MS.2"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await oneOfEach(snapshotter);
      for (const parent of ["active", "view"]) {
        await rejects(snapshotter.prepare("key", parent), "ERR_FAILED_PRECONDITION");
        await rejects(snapshotter.view("key", parent), "ERR_FAILED_PRECONDITION");
      }
      assert.deepEqual(await names(snapshotter), ["active", "committed", "view"]);
    },
  },
  {
    name: "a key is taken by a snapshot of any kind",
    rows: ["C-SN.5", "C-MS.6", "U-SN.5", "U-MS.2"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await oneOfEach(snapshotter);
      for (const key of ["active", "view", "committed"]) {
        await rejects(snapshotter.prepare(key, undefined), "ERR_ALREADY_EXISTS");
        await rejects(snapshotter.view(key, undefined), "ERR_ALREADY_EXISTS");
      }
    },
  },
  {
    name: "a second prepare of a key leaves the first snapshot as it was",
    rows: ["S2.7", "C-MS.6"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      const mounts = await snapshotter.prepare("key", undefined, { labels: { first: "yes" } });
      const before = await snapshotter.stat("key");
      await rejects(snapshotter.prepare("key", undefined, { labels: { second: "yes" } }), "ERR_ALREADY_EXISTS");
      assert.deepEqual(await snapshotter.stat("key"), before);
      assert.deepEqual(await snapshotter.mounts("key"), mounts);
      await snapshotter.commit("name", "key");
    },
  },
  {
    name: "a label that cannot be kept makes no snapshot",
    rows: ["U-SN.6", "U-SNX.6"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await commitEmpty(snapshotter, "base");
      const unkept: readonly Readonly<Record<string, string>>[] = [{ "": "unnamed" }, { long: "é".repeat(2047) }];
      for (const labels of unkept) {
        await rejects(snapshotter.prepare("key", "base", { labels }), "ERR_INVALID_ARGUMENT");
        await rejects(snapshotter.view("key", "base", { labels }), "ERR_INVALID_ARGUMENT");
        assert.equal(await has(snapshotter, "key"), false);
      }
      await snapshotter.prepare("key", "base", { labels: { long: "é".repeat(2046) } });
    },
  },
];
