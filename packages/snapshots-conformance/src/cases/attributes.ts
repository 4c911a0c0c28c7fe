import assert from "node:assert/strict";
import {
  chmod,
  chown,
  lchown,
  link,
  lstat,
  lutimes,
  mkdir,
  readFile,
  readdir,
  readlink,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import type { SnapshotterCase } from "../case.ts";
import { layer, look } from "../material.ts";

/** Whole seconds, because that is what every filesystem has. */
const then = 1_234_567_890;

export const attributeCases: readonly SnapshotterCase[] = [
  {
    // C-SN.19
    name: "the root of an empty snapshot has mode 0755 whatever the umask is",
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
    // C-SN.12
    name: "mode and owner of the root go with a commit to the next generations",
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
    // C-SN.11
    name: "a change of owner alone shows in the child, for files and directories",
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
    // C-SN.12
    name: "modes, owners, times and links go unchanged to the next generations",
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
  {
    name: "hard links stay one file in the next generations",
    needs: ["mount"],
    async run(context) {
      const snapshotter = await context.open();
      await layer(context, snapshotter, { name: "one" }, async (root) => {
        await mkdir(join(root, "directory"));
        await writeFile(join(root, "first"), "1");
        await link(join(root, "first"), join(root, "second"));
        await link(join(root, "first"), join(root, "directory/third"));
        await writeFile(join(root, "alone"), "1");
      });
      await layer(context, snapshotter, { name: "two", on: "one" }, (root) => writeFile(join(root, "other"), ""));
      for (const name of ["one", "two"]) {
        await look(context, snapshotter, name, async (root) => {
          const stats = await Promise.all(
            ["first", "second", "directory/third"].map((path) => lstat(join(root, path))),
          );
          assert.deepEqual(
            stats.map((stat) => stat.nlink),
            [3, 3, 3],
          );
          assert.equal(new Set(stats.map((stat) => stat.ino)).size, 1);
          assert.equal((await lstat(join(root, "alone"))).nlink, 1);
        });
      }
    },
  },
  {
    name: "a name need not be text",
    needs: ["mount"],
    async run(context) {
      const snapshotter = await context.open();
      const name = Buffer.from([0x66, 0xff, 0xfe, 0x0a, 0x80]);
      const at = (root: string): Buffer => Buffer.concat([Buffer.from(`${root}/`), name]);
      await layer(context, snapshotter, { name: "one" }, (root) => writeFile(at(root), "contents"));
      await layer(context, snapshotter, { name: "two", on: "one" }, (root) => writeFile(join(root, "other"), ""));
      await look(context, snapshotter, "two", async (root) => {
        assert.equal(await readFile(at(root), "utf8"), "contents");
        assert.equal((await readdir(root)).length, 2);
      });
      await snapshotter.remove("two");
      await snapshotter.remove("one");
    },
  },
];

async function modeOf(path: string): Promise<number> {
  return (await lstat(path)).mode % 0o10000;
}

async function ownerOf(path: string): Promise<readonly [uid: number, gid: number]> {
  const { uid, gid } = await lstat(path);
  return [uid, gid];
}

/** A worker thread cannot change the umask of its process; the case then runs with the one there is. */
function setUmask(umask: number): () => void {
  try {
    const before = process.umask(umask);
    return () => process.umask(before);
  } catch {
    return () => undefined;
  }
}
