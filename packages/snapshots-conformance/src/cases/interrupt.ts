import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { canCleanup, canRebase } from "@varve/snapshots";
import type { SnapshotterCase } from "../case.ts";
import { tree } from "../files.ts";
import { commitEmpty, has, layer, list, look, names, oneOfEach } from "../material.ts";

/** At most. */
const rounds = 20;
/** An abort has come so often after the end of everything that it will not come earlier. */
const enough = 4;
const reason = new Error("enough");

export const interruptCases: readonly SnapshotterCase[] = [
  {
    name: "an abort during a call leaves all or nothing of it",
    rows: ["U-SN.1"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await oneOfEach(snapshotter);
      await laterAndLater(async (turns) => {
        const prepared = await abortedAfter(turns, (signal) => snapshotter.prepare("key", "committed", { signal }));
        assert.equal(await has(snapshotter, "key"), prepared);
        if (!prepared) await snapshotter.prepare("key", "committed");
        const committed = await abortedAfter(turns, (signal) => snapshotter.commit("name", "key", { signal }));
        assert.equal(await has(snapshotter, "name"), committed);
        assert.equal(await has(snapshotter, "key"), !committed);
        await snapshotter.remove(committed ? "name" : "key");
        return prepared && committed;
      });
      assert.deepEqual(await names(snapshotter), ["active", "committed", "view"]);
    },
  },
  {
    name: "an abort during a view, an update or a removal leaves all or nothing of it",
    rows: ["U-SN.1"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await oneOfEach(snapshotter);
      await laterAndLater(async (turns) => {
        const viewed = await abortedAfter(turns, (signal) => snapshotter.view("key", "committed", { signal }));
        assert.equal(await has(snapshotter, "key"), viewed);
        if (!viewed) await snapshotter.view("key", "committed");
        const before = await snapshotter.stat("key");
        const updated = await abortedAfter(turns, (signal) =>
          snapshotter.update("key", { a: "1", b: "1" }, { signal }),
        );
        const after = await snapshotter.stat("key");
        assert.deepEqual(updated ? { ...after.labels } : after, updated ? { a: "1", b: "1" } : before);
        const removed = await abortedAfter(turns, (signal) => snapshotter.remove("key", { signal }));
        assert.equal(await has(snapshotter, "key"), !removed);
        if (!removed) await snapshotter.remove("key");
        return viewed && updated && removed;
      });
      assert.deepEqual(await names(snapshotter), ["active", "committed", "view"]);
    },
  },
  {
    name: "an abort leaves no trace in the files",
    rows: ["U-SN.1", "S2.7", "S2.11"],
    needs: ["mount"],
    async run(context) {
      const snapshotter = await context.open();
      await layer(context, snapshotter, { name: "base" }, (root) => writeFile(join(root, "lower"), "lower"));
      let expected: readonly string[] = [];
      await look(context, snapshotter, "base", async (root) => void (expected = await tree(root)));
      for (let turns = 0; turns < rounds; turns += 5) {
        const prepared = await abortedAfter(turns, (signal) => snapshotter.prepare("key", "base", { signal }));
        if (!prepared) await snapshotter.prepare("key", "base");
        await context.mounted(await snapshotter.mounts("key"), async (root) => {
          assert.deepEqual(await tree(root), expected);
          await writeFile(join(root, "upper"), "upper");
        });
        const committed = await abortedAfter(turns, (signal) => snapshotter.commit("name", "key", { signal }));
        if (!committed) await snapshotter.commit("name", "key");
        await look(context, snapshotter, "name", async (root) => assert.equal((await tree(root)).length, 2));
        await snapshotter.remove("name");
      }
    },
  },
  {
    name: "an abort during a cleanup takes no snapshot",
    rows: ["U-OVL.9"],
    needs: ["cleanup"],
    async run({ open }) {
      const snapshotter = await open();
      await oneOfEach(snapshotter);
      const before = await list(snapshotter.walk());
      assert.ok(canCleanup(snapshotter));
      await laterAndLater(async (turns) => {
        const cleaned = await abortedAfter(turns, (signal) => snapshotter.cleanup({ signal }));
        assert.deepEqual(await list(snapshotter.walk()), before);
        return cleaned;
      });
      await snapshotter.cleanup();
      await snapshotter.commit("name", "active");
    },
  },
  {
    name: "an abort during a change of parent leaves all or nothing of it",
    rows: ["C-MS.15", "U-MS.5"],
    needs: ["rebase"],
    async run({ open }) {
      const snapshotter = await open();
      await commitEmpty(snapshotter, "base");
      assert.ok(canRebase(snapshotter));
      await laterAndLater(async (turns) => {
        const mounts = await snapshotter.prepare("key", undefined);
        const moved = await abortedAfter(turns, (signal) => snapshotter.rebase("key", "base", { signal }));
        assert.equal((await snapshotter.stat("key")).parent, moved ? "base" : undefined);
        if (!moved) assert.deepEqual(await snapshotter.mounts("key"), mounts);
        await snapshotter.remove("key");
        return moved;
      });
    },
  },
];

/** With one turn of the event loop more each time, until every call was over before its abort, some times in a row. */
async function laterAndLater(round: (turns: number) => Promise<boolean>): Promise<void> {
  let over = 0;
  for (let turns = 0; turns < rounds && over < enough; turns += 1) over = (await round(turns)) ? over + 1 : 0;
}

/** Whether the call succeeded although its signal was aborted some turns of the event loop after it began. */
async function abortedAfter(turns: number, call: (signal: AbortSignal) => Promise<unknown>): Promise<boolean> {
  const controller = new AbortController();
  const outcome = call(controller.signal).then(
    () => true,
    (error: unknown) => {
      assert.equal(error, reason);
      return false;
    },
  );
  for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  controller.abort(reason);
  return outcome;
}
