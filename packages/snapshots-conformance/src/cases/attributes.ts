import assert from "node:assert/strict";
import {
  chmod,
  chown,
  lchown,
  lstat,
  lutimes,
  mkdir,
  readFile,
  readlink,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import type { SnapshotterCase } from "../case.ts";
import { modeOf, ownerOf, setUmask } from "../files.ts";
import { layer, look } from "../material.ts";

/** Whole seconds, because that is what every filesystem has. */
const then = 1_234_567_890;

export const attributeCases: readonly SnapshotterCase[] = [
  {
    name: "the root of an empty snapshot has mode 0755 whatever the umask is",
    rows: ["C-SN.19"],
    needs: ["mount"],
    async run(context) {
      const snapshotter = await context.open();
      for (const umask of [0o000, 0o077]) {
        const restore = setUmask(umask);
        try {
          const mounts = await snapshotter.prepare(`active-${umask}`, undefined);
          const views = await snapshotter.view(`view-${umask}`, undefined);
          for (const list of [mounts, views]) {
            await context.mounted(list, async (root) => assert.equal(await modeOf(root), 0o755));
          }
        } finally {
          restore();
        }
      }
    },
  },
  {
    name: "the root of an empty snapshot was changed in 1970",
    rows: ["G-31"],
    needs: ["mount"],
    async run(context) {
      const snapshotter = await context.open();
      for (const mounts of [
        await snapshotter.prepare("active", undefined),
        await snapshotter.view("view", undefined),
      ]) {
        await context.mounted(mounts, async (root) => assert.equal((await lstat(root)).mtimeMs, 0));
      }
    },
  },
  {
    name: "mode and owner of the root go with a commit to the next generations",
    rows: ["C-SN.12"],
    needs: ["mount"],
    async run(context) {
      const snapshotter = await context.open();
      await layer(context, snapshotter, { name: "one" }, async (root) => {
        await chown(root, 11, 12);
        await chmod(root, 0o1711);
      });
      await layer(context, snapshotter, { name: "two", on: "one" }, (root) => writeFile(join(root, "file"), ""));
      await layer(context, snapshotter, { name: "three", on: "two" }, async () => undefined);
      for (const name of ["one", "two", "three"]) {
        await look(context, snapshotter, name, async (root) => {
          const { uid, gid } = await lstat(root);
          assert.deepEqual([await modeOf(root), uid, gid], [0o1711, 11, 12], name);
        });
      }
    },
  },
  {
    name: "a change of owner alone shows in the child, for files and directories",
    rows: ["C-SN.11"],
    needs: ["mount"],
    async run(context) {
      const snapshotter = await context.open();
      await layer(context, snapshotter, { name: "base" }, async (root) => {
        await mkdir(join(root, "directory"));
        await writeFile(join(root, "directory/file"), "contents");
      });
      await layer(context, snapshotter, { name: "child", on: "base" }, async (root) => {
        await chown(join(root, "directory"), 21, 22);
        await chown(join(root, "directory/file"), 23, 24);
      });
      await look(context, snapshotter, "child", async (root) => {
        assert.deepEqual(await ownerOf(join(root, "directory")), [21, 22]);
        assert.deepEqual(await ownerOf(join(root, "directory/file")), [23, 24]);
        assert.equal(await readFile(join(root, "directory/file"), "utf8"), "contents");
      });
      await look(context, snapshotter, "base", async (root) => {
        assert.deepEqual(await ownerOf(join(root, "directory/file")), [0, 0]);
      });
    },
  },
  {
    name: "a change of mode alone shows at once and in the child, for files and directories",
    rows: ["C-SN.W6", "C-SN.12"],
    needs: ["mount"],
    async run(context) {
      const snapshotter = await context.open();
      await layer(context, snapshotter, { name: "base" }, async (root) => {
        await mkdir(join(root, "directory"));
        await writeFile(join(root, "directory/file"), "contents");
        await chmod(join(root, "directory"), 0o755);
        await chmod(join(root, "directory/file"), 0o644);
      });
      await layer(context, snapshotter, { name: "child", on: "base" }, async (root) => {
        await chmod(join(root, "directory"), 0o1770);
        await chmod(join(root, "directory/file"), 0o4711);
        assert.deepEqual(await modesOf(root), [0o1770, 0o4711]);
      });
      await layer(context, snapshotter, { name: "grandchild", on: "child" }, async (root) => {
        await chmod(join(root, "directory/file"), 0o000);
      });
      const expected = { base: [0o755, 0o644], child: [0o1770, 0o4711], grandchild: [0o1770, 0o000] };
      for (const [name, found] of Object.entries(expected)) {
        await look(context, snapshotter, name, async (root) => {
          assert.deepEqual(await modesOf(root), found, name);
          assert.equal(await readFile(join(root, "directory/file"), "utf8"), "contents");
        });
      }
    },
  },
  {
    name: "modes, owners, times and links go unchanged to the next generations",
    rows: ["C-SN.12"],
    needs: ["mount"],
    async run(context) {
      const snapshotter = await context.open();
      await layer(context, snapshotter, { name: "one" }, async (root) => {
        await mkdir(join(root, "directory"));
        await writeFile(join(root, "directory/program"), "program");
        await chown(join(root, "directory/program"), 31, 32);
        await chmod(join(root, "directory/program"), 0o6751);
        await utimes(join(root, "directory/program"), then, then);
        await symlink("../nowhere", join(root, "directory/link"));
        await lchown(join(root, "directory/link"), 33, 34);
        await lutimes(join(root, "directory/link"), then, then);
        await chmod(join(root, "directory"), 0o2700);
        await utimes(join(root, "directory"), then, then);
      });
      await layer(context, snapshotter, { name: "two", on: "one" }, (root) => writeFile(join(root, "other"), ""));
      for (const name of ["one", "two"]) {
        await look(context, snapshotter, name, async (root) => {
          const path = (last: string): string => join(root, "directory", last);
          assert.deepEqual([await modeOf(path("program")), ...(await ownerOf(path("program")))], [0o6751, 31, 32]);
          assert.equal(await modeOf(path("")), 0o2700);
          assert.equal(await readlink(path("link")), "../nowhere");
          assert.deepEqual(await ownerOf(path("link")), [33, 34]);
          for (const last of ["program", "link", ""])
            assert.equal((await lstat(path(last))).mtimeMs, then * 1000, last);
        });
      }
    },
  },
];

async function modesOf(root: string): Promise<readonly number[]> {
  return [await modeOf(join(root, "directory")), await modeOf(join(root, "directory/file"))];
}
