import assert from "node:assert/strict";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { SnapshotterCase } from "../case.ts";
import { exists } from "../files.ts";
import { layer, look } from "../material.ts";

export const contentCases: readonly SnapshotterCase[] = [
  {
    name: "a child shows what its parent has and what was changed",
    rows: ["C-SN.1", "S2.14"],
    needs: ["mount"],
    async run(context) {
      const snapshotter = await context.open();
      await layer(context, snapshotter, { name: "one" }, async (root) => {
        await mkdir(join(root, "a/b"), { recursive: true });
        await writeFile(join(root, "a/b/kept"), "kept");
        await writeFile(join(root, "a/changed"), "old");
        await writeFile(join(root, "removed"), "");
      });
      await layer(context, snapshotter, { name: "two", on: "one" }, async (root) => {
        await writeFile(join(root, "a/changed"), "new");
        await writeFile(join(root, "a/added"), "added");
        await rm(join(root, "removed"));
      });
      await look(context, snapshotter, "two", async (root) => {
        assert.equal(await readFile(join(root, "a/b/kept"), "utf8"), "kept");
        assert.equal(await readFile(join(root, "a/changed"), "utf8"), "new");
        assert.deepEqual((await readdir(root, { recursive: true })).toSorted(), [
          "a",
          "a/added",
          "a/b",
          "a/b/kept",
          "a/changed",
        ]);
      });
    },
  },
  {
    name: "what an active snapshot has is there when it is mounted again",
    rows: ["U-SN.1", "S2.10"],
    needs: ["mount"],
    async run(context) {
      const snapshotter = await context.open();
      await layer(context, snapshotter, { name: "base" }, (root) => writeFile(join(root, "lower"), "1"));
      for (const parent of [undefined, "base"]) {
        const key = `key-${parent}`;
        await context.mounted(await snapshotter.prepare(key, parent), (root) => writeFile(join(root, "upper"), "2"));
        await context.mounted(await snapshotter.mounts(key), async (root) => {
          assert.equal(await readFile(join(root, "upper"), "utf8"), "2");
          assert.equal(await exists(root, "lower"), parent !== undefined);
        });
      }
    },
  },
  {
    name: "a failed commit and a second prepare lose no file of the active snapshot",
    rows: ["S2.7", "S2.11"],
    needs: ["mount"],
    async run(context) {
      const snapshotter = await context.open();
      await layer(context, snapshotter, { name: "base" }, async () => undefined);
      await context.mounted(await snapshotter.prepare("key", "base"), (root) => writeFile(join(root, "file"), "1"));
      // S2.7 and S2.11: here files were lost.
      await assert.rejects(snapshotter.commit("base", "key"));
      await assert.rejects(snapshotter.prepare("key", undefined));
      await context.mounted(await snapshotter.mounts("key"), async (root) => {
        assert.equal(await readFile(join(root, "file"), "utf8"), "1");
        await writeFile(join(root, "file"), "2");
      });
      await snapshotter.commit("name", "key");
      await look(context, snapshotter, "name", async (root) => {
        assert.equal(await readFile(join(root, "file"), "utf8"), "2");
      });
    },
  },
  {
    name: "every generation sees all generations below",
    rows: ["C-SN.4"],
    needs: ["mount"],
    async run(context) {
      const snapshotter = await context.open();
      let on: string | undefined;
      for (const name of ["one", "two", "three"]) {
        await layer(context, snapshotter, { name, on }, (root) => writeFile(join(root, name), name));
        on = name;
      }
      const seen: string[] = [];
      for (const name of ["one", "two", "three"]) {
        seen.push(name);
        await look(context, snapshotter, name, async (root) => {
          assert.deepEqual((await readdir(root)).toSorted(), seen.toSorted());
        });
      }
    },
  },
  {
    name: "a change in a child does not change its parent",
    rows: ["C-SN.9"],
    needs: ["mount"],
    async run(context) {
      const snapshotter = await context.open();
      await layer(context, snapshotter, { name: "0" }, (root) => writeFile(join(root, "file"), "0"));
      for (let version = 1; version <= 5; version += 1) {
        await layer(context, snapshotter, { name: `${version}`, on: `${version - 1}` }, async (root) => {
          assert.equal(await readFile(join(root, "file"), "utf8"), `${version - 1}`);
          await writeFile(join(root, "file"), `${version}`);
        });
      }
      for (let version = 0; version <= 5; version += 1) {
        await look(context, snapshotter, `${version}`, async (root) => {
          assert.equal(await readFile(join(root, "file"), "utf8"), `${version}`);
        });
      }
    },
  },
  {
    name: "two children of one parent do not see each other",
    rows: ["C-SN.13"],
    needs: ["mount"],
    async run(context) {
      const snapshotter = await context.open();
      await layer(context, snapshotter, { name: "base" }, (root) => writeFile(join(root, "file"), "base"));
      const [one, two] = [await snapshotter.prepare("one", "base"), await snapshotter.prepare("two", "base")];
      await context.mounted(one, async (first) => {
        await context.mounted(two, async (second) => {
          await writeFile(join(first, "file"), "one");
          await writeFile(join(first, "only-one"), "");
          assert.equal(await readFile(join(second, "file"), "utf8"), "base");
          assert.equal(await exists(second, "only-one"), false);
        });
      });
    },
  },
  {
    name: "what stands on a committed snapshot is whole after siblings are removed",
    rows: ["C-SN.1", "C-SN.13"],
    needs: ["mount"],
    async run(context) {
      const snapshotter = await context.open();
      await layer(context, snapshotter, { name: "base" }, (root) => writeFile(join(root, "base"), "b"));
      await layer(context, snapshotter, { name: "kept", on: "base" }, (root) => writeFile(join(root, "kept"), "k"));
      await layer(context, snapshotter, { name: "sibling", on: "base" }, (root) => rm(join(root, "base")));
      await snapshotter.view("view", "base");
      await snapshotter.remove("view");
      await snapshotter.remove("sibling");
      await look(context, snapshotter, "kept", async (root) => {
        assert.equal(await readFile(join(root, "base"), "utf8"), "b");
        assert.equal(await readFile(join(root, "kept"), "utf8"), "k");
      });
    },
  },
  {
    name: "a name that is used again shows nothing of what had it before",
    rows: ["C-SN.7", "C-SN.W1", "S2.5"],
    needs: ["mount"],
    async run(context) {
      const snapshotter = await context.open();
      await layer(context, snapshotter, { name: "name" }, (root) => writeFile(join(root, "old"), ""));
      await snapshotter.remove("name");
      for (const key of ["name", "name-active"]) {
        await context.mounted(await snapshotter.prepare(key, undefined), async (root) => {
          assert.deepEqual(await readdir(root), []);
          await writeFile(join(root, "new"), "");
        });
      }
      await snapshotter.remove("name");
      await snapshotter.commit("name", "name-active");
      await look(context, snapshotter, "name", async (root) => assert.deepEqual(await readdir(root), ["new"]));
    },
  },
];
