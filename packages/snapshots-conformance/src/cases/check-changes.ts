import assert from "node:assert/strict";
import { appendFile, chmod, chown, mkdir, readFile, readdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { SnapshotterCase } from "../case.ts";
import { checker, problems } from "../check-material.ts";
import { commitEmpty, directoryOf, layer, list, look } from "../material.ts";

/** By the name of the snapshot, what somebody does to its files. */
const tampering: Readonly<Record<string, (directory: string) => Promise<void>>> = {
  added: (directory) => writeFile(join(directory, "new"), ""),
  "added-below": (directory) => writeFile(join(directory, "below/deep/new"), ""),
  "other-link": async (directory) => {
    await rm(join(directory, "link"));
    await symlink("elsewhere", join(directory, "link"));
  },
  "other-mode": (directory) => chmod(join(directory, "below/file"), 0o4755),
  "other-owner": (directory) => chown(join(directory, "below/deep"), 51, 52),
  removed: (directory) => rm(join(directory, "file")),
  "removed-below": (directory) => rm(join(directory, "below/deep"), { recursive: true }),
  renamed: (directory) => rename(join(directory, "file"), join(directory, "renamed")),
  swapped: async (directory) => {
    await rm(join(directory, "below/file"));
    await mkdir(join(directory, "below/file"));
  },
  written: (directory) => appendFile(join(directory, "below/file"), "more"),
};

export const checkChangesCases: readonly SnapshotterCase[] = [
  {
    name: "a check tells which committed snapshots were changed",
    rows: ["F12", "G-13"],
    needs: ["bind", "check", "check-changes"],
    async run({ open }) {
      const snapshotter = checker(await open());
      const directories = new Map<string, string>();
      for (const name of ["untouched", ...Object.keys(tampering)]) {
        const directory = directoryOf(await snapshotter.prepare("key", undefined));
        await fill(directory);
        await snapshotter.commit(name, "key");
        directories.set(name, directory);
      }
      assert.deepEqual(await problems(snapshotter), []);
      for (const [name, change] of Object.entries(tampering)) await change(directories.get(name) ?? "");
      const before = await list(snapshotter.walk());
      const expected = Object.keys(tampering).map((name) => `changed ${name}`);
      assert.deepEqual(await problems(snapshotter), expected.toSorted());
      assert.deepEqual(await problems(snapshotter), expected.toSorted());
      assert.deepEqual(await list(snapshotter.walk()), before);
    },
  },
  {
    name: "a check finds nothing wrong with what is written to an active snapshot, nor with what stands on a changed one",
    rows: ["F12", "G-13"],
    needs: ["bind", "check", "check-changes"],
    async run({ open }) {
      const snapshotter = checker(await open());
      const active = directoryOf(await snapshotter.prepare("active", undefined));
      const base = directoryOf(await snapshotter.prepare("key", undefined));
      for (const directory of [active, base]) await fill(directory);
      await snapshotter.commit("base", "key");
      await snapshotter.prepare("of-base", "base");
      await snapshotter.view("view", "base");
      await commitEmpty(snapshotter, "child", "base");
      for (const directory of [active, base]) await appendFile(join(directory, "file"), "more");
      assert.deepEqual(await problems(snapshotter), ["changed base"]);
    },
  },
  {
    name: "a check finds nothing wrong with what was read, mounted and stood on",
    rows: ["F12", "G-13"],
    needs: ["mount", "check"],
    async run(context) {
      const snapshotter = checker(await context.open());
      await layer(context, snapshotter, { name: "base" }, fill);
      await look(context, snapshotter, "base", read);
      await layer(context, snapshotter, { name: "child", on: "base" }, async (root) => {
        await read(root);
        await appendFile(join(root, "file"), "more");
        await chmod(join(root, "below"), 0o700);
        await rm(join(root, "below/deep"), { recursive: true });
      });
      await look(context, snapshotter, "child", read);
      await context.mounted(await snapshotter.prepare("key", "child"), (root) => writeFile(join(root, "new"), ""));
      assert.deepEqual(await problems(snapshotter), []);
    },
  },
];

async function fill(root: string): Promise<void> {
  await mkdir(join(root, "below/deep"), { recursive: true });
  for (const path of ["file", "below/file", "below/deep/file"]) await writeFile(join(root, path), path);
  await symlink("nowhere", join(root, "link"));
}

async function read(root: string): Promise<void> {
  await readdir(root, { recursive: true });
  for (const path of ["file", "below/file"]) await readFile(join(root, path));
}
