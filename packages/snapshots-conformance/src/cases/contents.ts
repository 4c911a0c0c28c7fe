import assert from "node:assert/strict";
import { mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { canRebase } from "@varve/snapshots";
import type { SnapshotterCase } from "../case.ts";
import { exists, layer, look } from "../material.ts";

const manyLayers = 128;

export const contentCases: readonly SnapshotterCase[] = [
  {
    // C-SN.1
    name: "a child shows what its parent has and what was changed",
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
    // C-SN.4
    name: "every generation sees all generations below",
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
    // C-SN.9
    name: "a change in a child does not change its parent",
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
    // C-SN.10
    name: "a directory removed and made again does not show its old contents",
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
    // C-SN.14
    name: "a file deleted in a child is gone in its children too",
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
    // C-SN.15, C-SN.20 (directories of a lower layer are left out: a kernel may refuse to rename them)
    name: "a renamed file has its new name only",
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
    // C-SN.16
    name: "nothing can be written to a view",
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
    // C-SN.13
    name: "what stands on a committed snapshot is whole after siblings are removed",
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
    name: "what was filled before it had a parent shows the parent below",
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
  {
    // C-SN.21
    name: `a chain of ${manyLayers} snapshots shows all of their changes`,
    needs: ["mount"],
    async run(context) {
      const snapshotter = await context.open();
      const expected = new Map<string, string>();
      let on: string | undefined;
      for (let index = 0; index < manyLayers; index += 1) {
        const name = `layer-${index}`;
        await layer(context, snapshotter, { name, on }, async (root) => {
          await writeFile(join(root, `file-${index}`), name);
          await writeFile(join(root, "last"), name);
          if (index % 8 === 7) await rm(join(root, `file-${index - 4}`));
        });
        expected.set(`file-${index}`, name).set("last", name);
        if (index % 8 === 7) expected.delete(`file-${index - 4}`);
        on = name;
      }
      await look(context, snapshotter, `layer-${manyLayers - 1}`, async (root) => {
        assert.deepEqual((await readdir(root)).toSorted(), [...expected.keys()].toSorted());
        for (const [path, text] of expected) assert.equal(await readFile(join(root, path), "utf8"), text);
      });
    },
  },
];
