import assert from "node:assert/strict";
import type { SnapshotterCase } from "../case.ts";
import { assertKind, commitEmpty, names, oneOfEach, rejects } from "../material.ts";

export const commitCases: readonly SnapshotterCase[] = [
  {
    name: "a committed snapshot is found by its name and no longer by its key",
    rows: ["C-SN.1", "C-SN.3", "C-MS.1", "C-MS.8", "S2.4", "S2.11", "S2.12"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await commitEmpty(snapshotter, "base");
      await snapshotter.prepare("key", "base");
      await snapshotter.commit("name", "key");
      await assertKind(snapshotter, "name", "committed");
      assert.equal((await snapshotter.stat("name")).parent, "base");
      await rejects(snapshotter.stat("key"), "ERR_NOT_FOUND");
    },
  },
  {
    name: "a commit to a taken name fails and leaves the active snapshot usable",
    rows: ["C-SN.1", "C-MS.10", "S2.11", "U-SN.5", "U-MS.4"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await oneOfEach(snapshotter);
      const mounts = await snapshotter.prepare("key", "committed");
      for (const name of ["active", "view", "committed", "key"]) {
        await rejects(snapshotter.commit(name, "key"), "ERR_ALREADY_EXISTS");
      }
      await assertKind(snapshotter, "key", "active");
      assert.deepEqual(await snapshotter.mounts("key"), mounts);
      await snapshotter.commit("name", "key");
      await assertKind(snapshotter, "name", "committed");
    },
  },
  {
    name: "a commit looks at the name before the key",
    rows: ["U-MS.4"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await oneOfEach(snapshotter);
      await rejects(snapshotter.commit("committed", "nobody"), "ERR_ALREADY_EXISTS");
      await rejects(snapshotter.commit("committed", "view"), "ERR_ALREADY_EXISTS");
    },
  },
  {
    name: "only an active snapshot can be committed",
    rows: ["C-MS.11", "C-MS.12", "U-MS.4"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await oneOfEach(snapshotter);
      await rejects(snapshotter.commit("name", "view"), "ERR_FAILED_PRECONDITION");
      await rejects(snapshotter.commit("name", "committed"), "ERR_FAILED_PRECONDITION");
      await assertKind(snapshotter, "view", "view");
      await assertKind(snapshotter, "committed", "committed");
    },
  },
  {
    name: "a key is free after its commit and says nothing of the committed snapshot",
    rows: ["C-SN.7", "S2.5", "S2.12"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await snapshotter.prepare("key", undefined);
      await snapshotter.commit("name", "key");
      await snapshotter.prepare("key", "name");
      await snapshotter.remove("key");
      await assertKind(snapshotter, "name", "committed");
    },
  },
  {
    name: "a commit that fails leaves the active snapshot as it was",
    rows: ["S2.11", "U-MS.4"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await commitEmpty(snapshotter, "taken");
      const mounts = await snapshotter.prepare("key", "taken", { labels: { kept: "yes" } });
      const before = await snapshotter.stat("key");
      await rejects(snapshotter.commit("taken", "key", { labels: { kept: "no" } }), "ERR_ALREADY_EXISTS");
      await rejects(snapshotter.commit("", "key"), "ERR_INVALID_ARGUMENT");
      await rejects(snapshotter.commit("name", "key", { labels: { "": "" } }), "ERR_INVALID_ARGUMENT");
      assert.deepEqual(await snapshotter.stat("key"), before);
      assert.deepEqual(await snapshotter.mounts("key"), mounts);
      assert.deepEqual(await names(snapshotter), ["key", "taken"]);
      await snapshotter.commit("name", "key");
      assert.equal((await snapshotter.stat("name")).parent, "taken");
    },
  },
  {
    name: "a snapshot was created no later than it was last updated",
    rows: ["C-SN.1", "U-SN.3"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await oneOfEach(snapshotter);
      for (const name of ["active", "view", "committed"]) {
        const { createdAt, updatedAt } = await snapshotter.stat(name);
        assert.ok(createdAt.getTime() > 0);
        assert.ok(createdAt <= updatedAt, name);
      }
    },
  },
  {
    name: "a commit counts as a change",
    rows: ["U-SN.3"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await snapshotter.prepare("key", undefined);
      const before = await snapshotter.update("key", { a: "b" });
      await snapshotter.commit("name", "key");
      assert.ok((await snapshotter.stat("name")).updatedAt > before.updatedAt);
    },
  },
];
