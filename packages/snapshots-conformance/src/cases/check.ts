import assert from "node:assert/strict";
import { readdir, rm, symlink, writeFile } from "node:fs/promises";
import type { SnapshotterCase } from "../case.ts";
import { checker, problems } from "../check-material.ts";
import { withDirectory } from "../files.ts";
import { commitEmpty, directoryOf, list, oneOfEach, rejectsWith, together } from "../material.ts";

export const checkCases: readonly SnapshotterCase[] = [
  {
    name: "a check finds nothing wrong with what nobody has touched",
    rows: ["F12"],
    needs: ["check"],
    async run({ open }) {
      const snapshotter = checker(await open());
      assert.deepEqual(await list(snapshotter.check()), []);
      await oneOfEach(snapshotter);
      await commitEmpty(snapshotter, "child", "committed");
      await snapshotter.view("of-child", "child");
      await snapshotter.prepare("alone", undefined);
      await snapshotter.view("of-nothing", undefined);
      assert.deepEqual(await list(snapshotter.check()), []);
    },
  },
  {
    name: "a check tells whose files are gone, and changes nothing",
    rows: ["F12"],
    needs: ["check", "bind"],
    async run({ open }) {
      const snapshotter = checker(await open());
      await oneOfEach(snapshotter);
      const active = await snapshotter.prepare("lost-active", undefined);
      const committed = await snapshotter.prepare("lost", undefined);
      await snapshotter.commit("lost-committed", "lost");
      for (const mounts of [active, committed]) await rm(directoryOf(mounts), { recursive: true });
      const before = await list(snapshotter.walk());
      assert.deepEqual(await problems(snapshotter), ["missing lost-active", "missing lost-committed"]);
      assert.deepEqual(await problems(snapshotter), ["missing lost-active", "missing lost-committed"]);
      assert.deepEqual(await list(snapshotter.walk()), before);
    },
  },
  {
    name: "a check tells what stands in place of the files",
    rows: ["F12"],
    needs: ["check", "bind"],
    async run({ open }) {
      const snapshotter = checker(await open());
      await oneOfEach(snapshotter);
      const linked = directoryOf(await snapshotter.prepare("linked", undefined));
      const filed = directoryOf(await snapshotter.prepare("filed", undefined));
      const dangling = directoryOf(await snapshotter.prepare("dangling", undefined));
      await snapshotter.commit("committed-dangling", "dangling");
      await withDirectory(async (outside) => {
        await rm(linked, { recursive: true });
        await symlink(outside, linked);
        await rm(filed, { recursive: true });
        await writeFile(filed, "");
        await rm(dangling, { recursive: true });
        await symlink("nowhere", dangling);
        assert.deepEqual(await problems(snapshotter), [
          "replaced committed-dangling",
          "replaced filed",
          "replaced linked",
        ]);
        assert.deepEqual(await readdir(outside), []);
      });
    },
  },
  {
    name: "a check finds nothing wrong with what is made and removed meanwhile",
    rows: ["F12"],
    needs: ["check"],
    async run({ open }) {
      const snapshotter = checker(await open());
      await commitEmpty(snapshotter, "base");
      const making = { still: true };
      const makers = Array.from({ length: 3 }, async (_, maker) => {
        for (let round = 0; round < 5; round += 1) {
          await snapshotter.prepare(`${maker}`, round % 2 === 0 ? "base" : undefined);
          await snapshotter.commit(`${maker}-committed`, `${maker}`);
          await snapshotter.remove(`${maker}-committed`);
        }
      });
      const keepChecking = async (): Promise<void> => {
        while (making.still) {
          assert.deepEqual(await list(snapshotter.check()), []);
          // A check that has nothing to wait for would never let the others go on.
          await new Promise((resolve) => setImmediate(resolve));
        }
      };
      await together([together(makers).finally(() => (making.still = false)), keepChecking()]);
    },
  },
  {
    name: "an aborted signal rejects a check with its own reason",
    rows: ["U-SN.1"],
    needs: ["check"],
    async run({ open }) {
      const snapshotter = checker(await open());
      await oneOfEach(snapshotter);
      const reason = new Error("enough");
      await rejectsWith(list(snapshotter.check({ signal: AbortSignal.abort(reason) })), reason);
    },
  },
];
