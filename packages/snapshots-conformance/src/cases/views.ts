import assert from "node:assert/strict";
import { chmod, mkdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { SnapshotterCase } from "../case.ts";
import { tree } from "../files.ts";
import { layer } from "../material.ts";

export const viewCases: readonly SnapshotterCase[] = [
  {
    name: "nothing can be written to a view",
    rows: ["C-SN.16", "S2.8"],
    needs: ["mount"],
    async run(context) {
      const snapshotter = await context.open();
      await layer(context, snapshotter, { name: "one" }, (root) => writeFile(join(root, "file"), "1"));
      await layer(context, snapshotter, { name: "two", on: "one" }, (root) => writeFile(join(root, "file"), "2"));
      for (const parent of [undefined, "one", "two"]) {
        await context.mounted(await snapshotter.view(`view-${parent}`, parent), async (root) => {
          await assert.rejects(writeFile(join(root, "new"), ""), { code: "EROFS" });
          if (parent !== undefined) await assert.rejects(writeFile(join(root, "file"), ""), { code: "EROFS" });
        });
      }
    },
  },
  {
    name: "nothing in a view can be changed, made or removed",
    rows: ["C-SN.16"],
    needs: ["mount"],
    async run(context) {
      const snapshotter = await context.open();
      await layer(context, snapshotter, { name: "one" }, makeFile);
      await layer(context, snapshotter, { name: "two", on: "one" }, makeFile);
      const denied = { code: "EROFS" };
      for (const parent of ["one", "two"]) {
        await context.mounted(await snapshotter.view(`view-${parent}`, parent), async (root) => {
          const before = await tree(root);
          const [directory, file] = [join(root, "directory"), join(root, "directory/file")];
          await assert.rejects(rm(file), denied);
          await assert.rejects(mkdir(join(root, "new")), denied);
          await assert.rejects(symlink("file", join(directory, "link")), denied);
          await assert.rejects(rename(file, join(root, "renamed")), denied);
          await assert.rejects(chmod(directory, 0o700), denied);
          await assert.rejects(chmod(root, 0o700), denied);
          assert.deepEqual(await tree(root), before);
        });
      }
    },
  },
  {
    name: "a view can be mounted again, and shows the same",
    rows: ["U-SN.1", "S2.8"],
    needs: ["mount"],
    async run(context) {
      const snapshotter = await context.open();
      await layer(context, snapshotter, { name: "one" }, (root) => writeFile(join(root, "file"), "1"));
      await layer(context, snapshotter, { name: "two", on: "one" }, (root) => writeFile(join(root, "file"), "2"));
      for (const [name, text] of Object.entries({ one: "1", two: "2" })) {
        const first = await snapshotter.view(`view-${name}`, name);
        for (const mounts of [first, first, await snapshotter.mounts(`view-${name}`)]) {
          await context.mounted(mounts, async (root) => {
            assert.equal(await readFile(join(root, "file"), "utf8"), text);
          });
        }
      }
    },
  },
];

async function makeFile(root: string): Promise<void> {
  await mkdir(join(root, "directory"), { recursive: true });
  await writeFile(join(root, "directory/file"), "contents");
}
