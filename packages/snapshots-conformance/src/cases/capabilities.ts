import assert from "node:assert/strict";
import { canCleanup, canRebase } from "@varve/snapshots";
import type { Cleaner, Rebaser, Snapshotter } from "@varve/snapshots";
import type { SnapshotterCase } from "../case.ts";
import { assertKind, commitEmpty, list, names, oneOfEach, rejects, rejectsWith } from "../material.ts";

export const capabilityCases: readonly SnapshotterCase[] = [
  {
    name: "a cleanup takes nothing that a snapshot owns",
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
      const cleaning = (async () => {
        while (making.still) {
          await snapshotter.cleanup();
          // A cleanup that has nothing to wait for would never let the others go on.
          await new Promise((resolve) => setImmediate(resolve));
        }
      })();
      try {
        await Promise.all(makers);
      } finally {
        making.still = false;
        await cleaning;
      }
      assert.equal((await names(snapshotter)).length, 1 + 4 * 2);
    },
  },
  {
    name: "an aborted signal rejects a cleanup with its own reason",
    needs: ["cleanup"],
    async run({ open }) {
      const reason = new Error("enough");
      await rejectsWith(cleaner(await open()).cleanup({ signal: AbortSignal.abort(reason) }), reason);
    },
  },
  {
    // C-MS.15, U-MS.5
    name: "a snapshot without a parent can be given one, also twice",
    needs: ["rebase"],
    async run({ open }) {
      const snapshotter = rebaser(await open());
      await commitEmpty(snapshotter, "base");
      await snapshotter.prepare("key", undefined);
      const mounts = await snapshotter.rebase("key", "base");
      assert.equal((await snapshotter.stat("key")).parent, "base");
      assert.deepEqual(await snapshotter.mounts("key"), mounts);
      assert.deepEqual(await snapshotter.rebase("key", "base"), mounts);
      await snapshotter.commit("name", "key");
      assert.equal((await snapshotter.stat("name")).parent, "base");
      await rejects(snapshotter.remove("base"), "ERR_FAILED_PRECONDITION");
    },
  },
  {
    // C-MS.15
    name: "a snapshot that has a parent keeps it",
    needs: ["rebase"],
    async run({ open }) {
      const snapshotter = rebaser(await open());
      await commitEmpty(snapshotter, "base");
      await commitEmpty(snapshotter, "other");
      await snapshotter.prepare("key", "base");
      await snapshotter.rebase("key", "base");
      await rejects(snapshotter.rebase("key", "other"), "ERR_INVALID_ARGUMENT");
      assert.equal((await snapshotter.stat("key")).parent, "base");
    },
  },
  {
    // C-MS.15
    name: "a new parent must exist and be committed",
    needs: ["rebase"],
    async run({ open }) {
      const snapshotter = rebaser(await open());
      await oneOfEach(snapshotter);
      await snapshotter.prepare("key", undefined);
      await rejects(snapshotter.rebase("key", "nobody"), "ERR_NOT_FOUND");
      await rejects(snapshotter.rebase("key", "active"), "ERR_FAILED_PRECONDITION");
      await rejects(snapshotter.rebase("key", "view"), "ERR_FAILED_PRECONDITION");
      await rejects(snapshotter.rebase("nobody", "committed"), "ERR_NOT_FOUND");
      assert.equal((await snapshotter.stat("key")).parent, undefined);
      await snapshotter.commit("name", "key");
    },
  },
  {
    name: "only an active snapshot can be given a parent",
    needs: ["rebase"],
    async run({ open }) {
      const snapshotter = rebaser(await open());
      await commitEmpty(snapshotter, "base");
      await commitEmpty(snapshotter, "committed");
      await snapshotter.view("view", undefined);
      await rejects(snapshotter.rebase("committed", "base"), "ERR_FAILED_PRECONDITION");
      await rejects(snapshotter.rebase("view", "base"), "ERR_FAILED_PRECONDITION");
      await assertKind(snapshotter, "view", "view");
      assert.equal((await snapshotter.stat("committed")).parent, undefined);
    },
  },
  {
    name: "an aborted signal rejects a change of parent with its own reason",
    needs: ["rebase"],
    async run({ open }) {
      const snapshotter = rebaser(await open());
      await commitEmpty(snapshotter, "base");
      await snapshotter.prepare("key", undefined);
      const reason = new Error("enough");
      await rejectsWith(snapshotter.rebase("key", "base", { signal: AbortSignal.abort(reason) }), reason);
      assert.equal((await snapshotter.stat("key")).parent, undefined);
    },
  },
  {
    name: "without a parent a snapshot is one bind mount of a directory",
    needs: ["rebase"],
    async run({ open }) {
      const mounts = await (await open()).prepare("key", undefined);
      assert.deepEqual(
        mounts.map((mount) => [mount.type, mount.target]),
        [["bind", undefined]],
      );
    },
  },
  {
    name: "what was there is there after reopening",
    needs: ["reopen"],
    async run({ open }) {
      const first = await open();
      await oneOfEach(first);
      await first.update("committed", { a: "b" });
      const before = await list(first.walk());
      const mounts = await first.mounts("active");
      await first.close();
      const second = await open();
      assert.deepEqual(await list(second.walk()), before);
      assert.deepEqual(await second.mounts("active"), mounts);
      assert.deepEqual(await second.usage("committed"), await second.usage("committed"));
      await second.commit("name", "active");
    },
  },
  {
    name: "two instances of one place see the same snapshots",
    needs: ["reopen"],
    async run({ open }) {
      const [one, other] = [await open(), await open()];
      const mounts = await one.prepare("key", undefined);
      assert.deepEqual(await other.mounts("key"), mounts);
      await rejects(other.prepare("key", undefined), "ERR_ALREADY_EXISTS");
      await other.commit("name", "key");
      await assertKind(one, "name", "committed");
      const keys = Array.from({ length: 8 }, (_, index) => `key-${index}`);
      await Promise.all(keys.map((key, index) => (index % 2 === 0 ? one : other).prepare(key, "name")));
      assert.deepEqual(await names(one), await names(other));
      const mine = await Promise.all(keys.map(async (key) => JSON.stringify(await one.mounts(key))));
      assert.equal(new Set(mine).size, keys.length);
    },
  },
];

function cleaner(snapshotter: Snapshotter): Snapshotter & Cleaner {
  assert.ok(canCleanup(snapshotter), "does not implement Cleaner");
  return snapshotter;
}

function rebaser(snapshotter: Snapshotter): Snapshotter & Rebaser {
  assert.ok(canRebase(snapshotter), "does not implement Rebaser");
  return snapshotter;
}
