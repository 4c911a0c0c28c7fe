import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hasCode } from "@varve/errors";
import { canRebase } from "@varve/snapshots";
import type { Rebaser, Snapshotter } from "@varve/snapshots";
import type { SnapshotterCase } from "../case.ts";
import { assertKind, commitEmpty, layer, look, names, oneOfEach, rejects, rejectsWith } from "../material.ts";

export const rebaseCases: readonly SnapshotterCase[] = [
  {
    name: "a snapshot without a parent can be given one, also twice",
    rows: ["C-MS.15", "U-MS.5", "U-SN.9"],
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
    name: "a snapshot that has a parent keeps it",
    rows: ["C-MS.15", "U-MS.5"],
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
    name: "a new parent must exist and be committed",
    rows: ["C-MS.15", "U-MS.5"],
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
    rows: ["U-MS.5"],
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
    rows: ["U-SN.1"],
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
    name: "a parent is not removed while a snapshot is given it",
    rows: ["U-MS.5", "U-MS.6", "C-SN.13"],
    needs: ["rebase"],
    async run({ open }) {
      const snapshotter = rebaser(await open());
      for (let round = 0; round < 10; round += 1) {
        await commitEmpty(snapshotter, "base");
        await snapshotter.prepare("key", undefined);
        const [moved, removed] = await Promise.allSettled([
          snapshotter.rebase("key", "base"),
          snapshotter.remove("base"),
        ]);
        if (moved.status === "fulfilled") {
          assert.ok(removed.status === "rejected" && hasCode(removed.reason, "ERR_FAILED_PRECONDITION"));
          assert.equal((await snapshotter.stat("key")).parent, "base");
        } else {
          assert.ok(hasCode(moved.reason, "ERR_NOT_FOUND"), String(moved.reason));
          assert.equal((await snapshotter.stat("key")).parent, undefined);
        }
        for (const name of await names(snapshotter)) if (name !== "base") await snapshotter.remove(name);
        if (removed.status === "rejected") await snapshotter.remove("base");
        assert.deepEqual(await names(snapshotter), []);
      }
    },
  },
  {
    name: "without a parent a snapshot is one bind mount of a directory",
    rows: ["U-SN.9", "S2.14"],
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
    name: "what was filled before it had a parent shows the parent below",
    rows: ["U-SN.9", "U-MS.5"],
    needs: ["mount", "rebase"],
    async run(context) {
      const snapshotter = await context.open();
      await layer(context, snapshotter, { name: "base" }, async (root) => {
        await writeFile(join(root, "lower"), "lower");
        await writeFile(join(root, "both"), "lower");
      });
      const [bind] = await snapshotter.prepare("key", undefined);
      await writeFile(join(bind?.source ?? "", "both"), "upper");
      assert.ok(canRebase(snapshotter));
      await context.mounted(await snapshotter.rebase("key", "base"), async (root) => {
        assert.equal(await readFile(join(root, "lower"), "utf8"), "lower");
        assert.equal(await readFile(join(root, "both"), "utf8"), "upper");
      });
      await snapshotter.commit("name", "key");
      await look(context, snapshotter, "name", async (root) => {
        assert.equal(await readFile(join(root, "lower"), "utf8"), "lower");
        assert.equal(await readFile(join(root, "both"), "utf8"), "upper");
      });
    },
  },
];

function rebaser(snapshotter: Snapshotter): Snapshotter & Rebaser {
  assert.ok(canRebase(snapshotter), "does not implement Rebaser");
  return snapshotter;
}
