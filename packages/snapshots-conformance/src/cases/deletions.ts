import assert from "node:assert/strict";
import { mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { SnapshotterCase } from "../case.ts";
import { exists, tree } from "../files.ts";
import { layer, look } from "../material.ts";

export const deletionCases: readonly SnapshotterCase[] = [
  {
    name: "a directory removed and made again does not show its old contents",
    rows: ["C-SN.10"],
    needs: ["mount"],
    async run(context) {
      const snapshotter = await context.open();
      await layer(context, snapshotter, { name: "base" }, async (root) => {
        await mkdir(join(root, "directory/below"), { recursive: true });
        await writeFile(join(root, "directory/old"), "");
      });
      await layer(context, snapshotter, { name: "child", on: "base" }, async (root) => {
        await rm(join(root, "directory"), { recursive: true });
        await mkdir(join(root, "directory"));
        await writeFile(join(root, "directory/new"), "");
      });
      await layer(context, snapshotter, { name: "grandchild", on: "child" }, async () => undefined);
      for (const name of ["child", "grandchild"]) {
        await look(context, snapshotter, name, async (root) => {
          assert.deepEqual(await readdir(join(root, "directory")), ["new"]);
        });
      }
    },
  },
  {
    name: "a file deleted in a child is gone in its children too",
    rows: ["C-SN.14"],
    needs: ["mount"],
    async run(context) {
      const snapshotter = await context.open();
      await layer(context, snapshotter, { name: "base" }, async (root) => {
        await mkdir(join(root, "etc"));
        await writeFile(join(root, "etc/deleted"), "");
        await writeFile(join(root, "etc/kept"), "");
      });
      await layer(context, snapshotter, { name: "child", on: "base" }, (root) => rm(join(root, "etc/deleted")));
      await layer(context, snapshotter, { name: "grandchild", on: "child" }, (root) =>
        writeFile(join(root, "etc/added"), ""),
      );
      await look(context, snapshotter, "grandchild", async (root) => {
        assert.deepEqual((await readdir(join(root, "etc"))).toSorted(), ["added", "kept"]);
      });
      await look(context, snapshotter, "base", async (root) => {
        assert.deepEqual((await readdir(join(root, "etc"))).toSorted(), ["deleted", "kept"]);
      });
    },
  },
  {
    name: "a directory deleted in a child is gone in its children too",
    rows: ["C-SN.10", "C-SN.14"],
    needs: ["mount"],
    async run(context) {
      const snapshotter = await context.open();
      await layer(context, snapshotter, { name: "base" }, async (root) => {
        await mkdir(join(root, "directory/below"), { recursive: true });
        await writeFile(join(root, "directory/below/file"), "");
        await mkdir(join(root, "becomes-file"));
        await writeFile(join(root, "becomes-directory"), "");
      });
      await layer(context, snapshotter, { name: "child", on: "base" }, async (root) => {
        await rm(join(root, "directory"), { recursive: true });
        await rm(join(root, "becomes-file"), { recursive: true });
        await writeFile(join(root, "becomes-file"), "");
        await rm(join(root, "becomes-directory"));
        await mkdir(join(root, "becomes-directory"));
      });
      await layer(context, snapshotter, { name: "grandchild", on: "child" }, async () => undefined);
      for (const name of ["child", "grandchild"]) {
        await look(context, snapshotter, name, async (root) => {
          const found = await readdir(root, { withFileTypes: true });
          assert.deepEqual(found.map((entry) => `${entry.name} ${entry.isDirectory()}`).toSorted(), [
            "becomes-directory true",
            "becomes-file false",
          ]);
          assert.equal(await exists(root, "directory/below/file"), false);
        });
      }
    },
  },
  {
    name: "a renamed file has its new name only",
    rows: ["C-SN.15", "C-SN.20"],
    needs: ["mount"],
    async run(context) {
      const snapshotter = await context.open();
      await layer(context, snapshotter, { name: "base" }, async (root) => {
        await mkdir(join(root, "from"));
        await mkdir(join(root, "to"));
        await writeFile(join(root, "from/old"), "contents");
      });
      await layer(context, snapshotter, { name: "child", on: "base" }, async (root) => {
        await rename(join(root, "from/old"), join(root, "to/new"));
        await mkdir(join(root, "made"));
        await writeFile(join(root, "made/file"), "");
        await rename(join(root, "made"), join(root, "moved"));
      });
      await look(context, snapshotter, "child", async (root) => {
        assert.deepEqual(await readdir(join(root, "from")), []);
        assert.equal(await readFile(join(root, "to/new"), "utf8"), "contents");
        assert.deepEqual((await readdir(root)).toSorted(), ["from", "moved", "to"]);
        assert.deepEqual(await readdir(join(root, "moved")), ["file"]);
      });
    },
  },
  {
    name: "a renamed file takes the place of another",
    rows: ["C-SN.15", "C-SN.20"],
    needs: ["mount"],
    async run(context) {
      const snapshotter = await context.open();
      await layer(context, snapshotter, { name: "base" }, async (root) => {
        for (const name of ["one", "two", "three"]) await writeFile(join(root, name), name);
      });
      await layer(context, snapshotter, { name: "child", on: "base" }, async (root) => {
        await rename(join(root, "one"), join(root, "two"));
        await writeFile(join(root, "new"), "new");
        await rename(join(root, "new"), join(root, "three"));
      });
      await look(context, snapshotter, "child", async (root) => {
        assert.deepEqual((await readdir(root)).toSorted(), ["three", "two"]);
        assert.equal(await readFile(join(root, "two"), "utf8"), "one");
        assert.equal(await readFile(join(root, "three"), "utf8"), "new");
      });
      await look(context, snapshotter, "base", async (root) => {
        assert.deepEqual((await readdir(root)).toSorted(), ["one", "three", "two"]);
      });
    },
  },
  {
    name: "a renamed directory has its new name only, and all that was in it",
    rows: ["C-SN.20"],
    needs: ["mount", "directory-rename"],
    async run(context) {
      const snapshotter = await context.open();
      await layer(context, snapshotter, { name: "base" }, async (root) => {
        await mkdir(join(root, "old/below"), { recursive: true });
        await writeFile(join(root, "old/below/file"), "contents");
      });
      let expected: readonly string[] = [];
      await look(context, snapshotter, "base", async (root) => void (expected = await tree(root)));
      await layer(context, snapshotter, { name: "child", on: "base" }, (root) =>
        rename(join(root, "old"), join(root, "new")),
      );
      await layer(context, snapshotter, { name: "grandchild", on: "child" }, (root) =>
        rename(join(root, "new/below"), join(root, "new/moved")),
      );
      await look(context, snapshotter, "child", async (root) => {
        assert.deepEqual(
          await tree(root),
          expected.map((line) => line.replace("old", "new")),
        );
      });
      await look(context, snapshotter, "grandchild", async (root) => {
        assert.deepEqual(
          await tree(root),
          expected.map((line) => line.replace("old", "new").replace("below", "moved")),
        );
      });
      await look(context, snapshotter, "base", async (root) => assert.deepEqual(await tree(root), expected));
    },
  },
];
