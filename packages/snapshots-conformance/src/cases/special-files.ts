import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { chmod, chown, link, lstat, mkdir, readFile, readdir, rename, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import type { SnapshotterCase } from "../case.ts";
import { modeOf, ownerOf } from "../files.ts";
import { layer, look } from "../material.ts";

export const specialFileCases: readonly SnapshotterCase[] = [
  {
    name: "hard links stay one file in the next generations",
    rows: ["U-SN.4", "C-SN.12"],
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
    rows: ["C-SN.14"],
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
  {
    name: "a unix socket goes to the next generations",
    rows: ["C-SN.W2"],
    needs: ["mount"],
    async run(context) {
      const snapshotter = await context.open();
      await layer(context, snapshotter, { name: "one" }, async (root) => {
        await makeSocket(root, "socket");
        await chown(join(root, "socket"), 41, 42);
        await chmod(join(root, "socket"), 0o600);
      });
      await layer(context, snapshotter, { name: "two", on: "one" }, async (root) => {
        await rename(join(root, "socket"), join(root, "moved"));
        await makeSocket(root, "socket");
      });
      await layer(context, snapshotter, { name: "three", on: "two" }, (root) => writeFile(join(root, "other"), ""));
      for (const name of ["two", "three"]) {
        await look(context, snapshotter, name, async (root) => {
          for (const path of ["socket", "moved"]) assert.ok((await lstat(join(root, path))).isSocket(), path);
          const moved = join(root, "moved");
          assert.deepEqual([await modeOf(moved), ...(await ownerOf(moved))], [0o600, 41, 42]);
        });
      }
    },
  },
  {
    name: "a fifo goes to the next generations",
    rows: ["C-SN.12"],
    needs: ["mount"],
    async run(context) {
      const snapshotter = await context.open();
      await layer(context, snapshotter, { name: "one" }, async (root) => {
        await run("mkfifo", [join(root, "fifo")]);
        await chown(join(root, "fifo"), 43, 44);
        await chmod(join(root, "fifo"), 0o640);
      });
      await layer(context, snapshotter, { name: "two", on: "one" }, (root) => writeFile(join(root, "other"), ""));
      for (const name of ["one", "two"]) {
        await look(context, snapshotter, name, async (root) => {
          const fifo = join(root, "fifo");
          assert.ok((await lstat(fifo)).isFIFO(), name);
          assert.deepEqual([await modeOf(fifo), ...(await ownerOf(fifo))], [0o640, 43, 44]);
        });
      }
    },
  },
  {
    name: "device nodes go to the next generations",
    rows: ["C-SN.12"],
    needs: ["mount", "device-nodes"],
    async run(context) {
      const snapshotter = await context.open();
      await layer(context, snapshotter, { name: "one" }, async (root) => {
        await run("mknod", ["-m", "600", join(root, "character"), "c", "1", "3"]);
        await run("mknod", ["-m", "640", join(root, "block"), "b", "7", "300"]);
        await chown(join(root, "block"), 45, 46);
      });
      await layer(context, snapshotter, { name: "two", on: "one" }, async (root) => {
        // To the next layer as it is.
        await rename(join(root, "character"), join(root, "moved"));
      });
      for (const [name, character] of Object.entries({ one: "character", two: "moved" })) {
        await look(context, snapshotter, name, async (root) => {
          const [first, second] = [await lstat(join(root, character)), await lstat(join(root, "block"))];
          assert.ok(first.isCharacterDevice() && second.isBlockDevice(), name);
          assert.deepEqual([first.rdev, second.rdev], [device(1, 3), device(7, 300)]);
          assert.deepEqual([first.mode % 0o10000, second.mode % 0o10000], [0o600, 0o640]);
          assert.deepEqual([second.uid, second.gid], [45, 46]);
          assert.equal((await readdir(root)).length, 2);
        });
      }
    },
  },
  {
    name: "extended attributes of files and directories go to the next generations",
    rows: ["C-SN.12"],
    needs: ["mount", "xattrs"],
    async run(context) {
      const { set, get } = context.xattrs;
      const snapshotter = await context.open();
      await layer(context, snapshotter, { name: "one" }, async (root) => {
        await set(root, "user.varve.root", "of the root");
        await mkdir(join(root, "directory"));
        await set(join(root, "directory"), "user.varve.directory", "of a directory");
        for (const name of ["kept", "changed"]) {
          await writeFile(join(root, "directory", name), name);
          await set(join(root, "directory", name), "user.varve.file", "of a file");
        }
      });
      await layer(context, snapshotter, { name: "two", on: "one" }, async (root) => {
        await set(join(root, "directory/changed"), "user.varve.file", "another");
      });
      for (const [name, changed] of Object.entries({ one: "of a file", two: "another" })) {
        await look(context, snapshotter, name, async (root) => {
          assert.equal(await get(root, "user.varve.root"), "of the root");
          assert.equal(await get(join(root, "directory"), "user.varve.directory"), "of a directory");
          assert.equal(await get(join(root, "directory/kept"), "user.varve.file"), "of a file");
          assert.equal(await get(join(root, "directory/changed"), "user.varve.file"), changed);
          assert.equal(await get(join(root, "directory/kept"), "user.varve.directory"), undefined);
          assert.equal(await readFile(join(root, "directory/changed"), "utf8"), "changed");
        });
      }
    },
  },
];

const run = promisify(execFile);

/** As stat(2) gives it, in the encoding of glibc. */
function device(major: number, minor: number): number {
  return (minor % 256) + major * 256 + Math.floor(minor / 256) * 2 ** 20;
}

/** A socket that nobody listens on any more; Node takes only the name away that it was made by. */
async function makeSocket(root: string, name: string): Promise<void> {
  const server = createServer().listen(join(root, "s"));
  await once(server, "listening");
  await rename(join(root, "s"), join(root, name));
  server.close();
  await once(server, "close");
}
