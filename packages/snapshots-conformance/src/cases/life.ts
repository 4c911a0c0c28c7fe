import assert from "node:assert/strict";
import type { SnapshotterCase } from "../case.ts";
import { assertKind, commitEmpty, names, oneOfEach, rejects } from "../material.ts";

export const lifeCases: readonly SnapshotterCase[] = [
  {
    // C-SN.2
    name: "an active snapshot is found by its key",
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
    // C-SN.3
    name: "a committed snapshot is found by its name and no longer by its key",
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
    name: "a view is found by its key",
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
    // S2.10: mounts too
    name: "what does not exist is not found",
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await rejects(snapshotter.stat("nobody"), "ERR_NOT_FOUND");
      await rejects(snapshotter.update("nobody", { a: "b" }), "ERR_NOT_FOUND");
      await rejects(snapshotter.usage("nobody"), "ERR_NOT_FOUND");
      await rejects(snapshotter.mounts("nobody"), "ERR_NOT_FOUND");
      await rejects(snapshotter.commit("name", "nobody"), "ERR_NOT_FOUND");
      await rejects(snapshotter.remove("nobody"), "ERR_NOT_FOUND");
    },
  },
  {
    // S2.6, C-MS.5
    name: "a parent must exist",
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await rejects(snapshotter.prepare("key", "nobody"), "ERR_NOT_FOUND");
      await rejects(snapshotter.view("key", "nobody"), "ERR_NOT_FOUND");
      assert.deepEqual(await names(snapshotter), []);
    },
  },
  {
    // C-MS.7
    name: "a parent must be committed",
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
    // C-SN.5, U-SN.5
    name: "a key is taken by a snapshot of any kind",
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
    // S2.7
    name: "a second prepare of a key leaves the first snapshot as it was",
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
    // S2.11, C-MS.10
    name: "a commit to a taken name fails and leaves the active snapshot usable",
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
    // U-MS.4
    name: "a commit looks at the name before the key",
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await oneOfEach(snapshotter);
      await rejects(snapshotter.commit("committed", "nobody"), "ERR_ALREADY_EXISTS");
      await rejects(snapshotter.commit("committed", "view"), "ERR_ALREADY_EXISTS");
    },
  },
  {
    // C-MS.11, C-MS.12
    name: "only an active snapshot can be committed",
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
    name: "mounts are the same each time",
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
    // U-MS.3
    name: "a committed snapshot has no mounts",
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await commitEmpty(snapshotter, "base");
      await rejects(snapshotter.mounts("base"), "ERR_FAILED_PRECONDITION");
    },
  },
  {
    // C-SN.13
    name: "a snapshot that others stand on cannot be removed",
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
    // C-SN.7, K15
    name: "a removed name can be used again",
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
    // C-SN.7
    name: "a key is free after its commit and says nothing of the committed snapshot",
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
    // C-SN.1
    name: "a snapshot was created no later than it was last updated",
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
    // C-SN.18
    name: "closing twice is no error",
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await snapshotter.prepare("key", undefined);
      await snapshotter.close();
      await snapshotter.close();
      await snapshotter[Symbol.asyncDispose]();
    },
  },
];
