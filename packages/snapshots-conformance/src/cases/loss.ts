import assert from "node:assert/strict";
import { readdir, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Snapshotter } from "@varve/snapshots";
import type { SnapshotterCase } from "../case.ts";
import { withDirectory } from "../files.ts";
import { assertKind, commitEmpty, directoryOf, has, names, rejects } from "../material.ts";

export const lossCases: readonly SnapshotterCase[] = [
  {
    name: "a snapshot whose files are gone cannot be committed, and can be removed",
    rows: ["F12"],
    needs: ["bind"],
    async run({ open }) {
      const snapshotter = await open();
      await rm(directoryOf(await snapshotter.prepare("key", undefined)), { recursive: true });
      await rejects(snapshotter.commit("name", "key"), "ERR_DATA_LOSS");
      await assertKind(snapshotter, "key", "active");
      assert.equal(await has(snapshotter, "name"), false);
      await snapshotter.remove("key");
      await snapshotter.prepare("key", undefined);
      await snapshotter.commit("name", "key");
    },
  },
  {
    name: "a snapshot whose files are replaced by a link cannot be committed",
    rows: ["F12"],
    needs: ["bind"],
    async run({ open }) {
      const snapshotter = await open();
      const directory = directoryOf(await snapshotter.prepare("key", undefined));
      await withDirectory(async (outside) => {
        await rm(directory, { recursive: true });
        await symlink(outside, directory);
        await rejects(snapshotter.commit("name", "key"), "ERR_DATA_LOSS");
        await assertKind(snapshotter, "key", "active");
        assert.equal(await has(snapshotter, "name"), false);
      });
      await snapshotter.remove("key");
    },
  },
  {
    name: "a removal does not follow a link in place of the files",
    rows: ["F12", "K21"],
    needs: ["bind"],
    async run({ open }) {
      const snapshotter = await open();
      await commitEmpty(snapshotter, "base");
      await withDirectory(async (outside) => {
        await writeFile(join(outside, "kept"), "");
        await replaceByLink(snapshotter, outside);
        for (const name of ["active", "view", "committed"]) await snapshotter.remove(name);
        assert.deepEqual(await readdir(outside), ["kept"]);
      });
      assert.deepEqual(await names(snapshotter), ["base"]);
      for (const name of ["active", "view", "committed"]) await snapshotter.prepare(name, undefined);
    },
  },
];

async function replaceByLink(snapshotter: Snapshotter, target: string): Promise<void> {
  const directories = [
    directoryOf(await snapshotter.prepare("active", undefined)),
    directoryOf(await snapshotter.view("view", undefined)),
    directoryOf(await snapshotter.prepare("key", undefined)),
  ];
  await snapshotter.commit("committed", "key");
  for (const directory of directories) {
    await rm(directory, { recursive: true });
    await symlink(target, directory);
  }
}
