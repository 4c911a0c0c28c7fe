import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, lstat, mkdir, open, readFile, readdir, realpath, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { hasCode } from "@varve/errors";
import { canCleanup } from "@varve/snapshots";
import type { Snapshotter } from "@varve/snapshots";
import type { CaseContext, SnapshotterCase } from "../case.ts";
import { layer, rejects } from "../material.ts";

export const inUseCases: readonly SnapshotterCase[] = [
  {
    name: "a directory stays the same one while it is changed",
    rows: ["C-SN.W3"],
    needs: ["mount"],
    async run(context) {
      const snapshotter = await context.open();
      await makeBase(context, snapshotter);
      await context.mounted(await snapshotter.prepare("key", "base"), async (root) => {
        const directory = join(root, "directory");
        const { ino } = await lstat(directory);
        await writeFile(join(directory, "new"), "");
        assert.equal((await lstat(directory)).ino, ino);
        await chmod(directory, 0o700);
        await rm(join(directory, "file"));
        assert.equal((await lstat(directory)).ino, ino);
      });
    },
  },
  {
    name: "an open file stays the same one while others change, replace or delete it",
    rows: ["C-SN.W4"],
    needs: ["mount"],
    async run(context) {
      const snapshotter = await context.open();
      await makeBase(context, snapshotter);
      await context.mounted(await snapshotter.prepare("key", "base"), async (root) => {
        const path = join(root, "directory/file");
        const reader = await open(path);
        try {
          const { ino } = await reader.stat();
          // What the reader sees of this is up to the kernel: overlayfs may go on to show what was there.
          await writeFile(path, "CONTENTS");
          await chmod(path, 0o600);
          assert.equal((await reader.stat()).ino, ino);
          assert.equal((await lstat(path)).ino, ino);
          await rm(path);
          await writeFile(path, "another");
          const { buffer, bytesRead } = await reader.read({ buffer: Buffer.alloc(100), position: 0 });
          assert.equal(buffer.toString("utf8", 0, bytesRead).toLowerCase(), "contents");
          assert.equal((await reader.stat()).ino, ino);
        } finally {
          await reader.close();
        }
      });
    },
  },
  {
    name: "a process in a mounted directory knows where it is, also after a change",
    rows: ["C-SN.W5"],
    needs: ["mount"],
    async run(context) {
      const snapshotter = await context.open();
      await makeBase(context, snapshotter);
      // Not process.cwd(), which asks only once.
      const script = `
        const { realpathSync, writeFileSync } = require("node:fs");
        const before = realpathSync.native(".");
        writeFileSync("new", "");
        process.stdout.write(JSON.stringify([before, realpathSync.native(".")]));`;
      await context.mounted(await snapshotter.prepare("key", "base"), async (root) => {
        for (const cwd of [join(await realpath(root), "directory"), await realpath(root)]) {
          const { stdout } = await promisify(execFile)(process.execPath, ["-e", script], { cwd });
          assert.deepEqual(JSON.parse(stdout), [cwd, cwd]);
        }
      });
    },
  },
  {
    name: "what is removed while it is mounted stays readable there, or the removal is refused",
    rows: ["C04"],
    needs: ["mount"],
    async run(context) {
      const snapshotter = await context.open();
      await makeBase(context, snapshotter);
      for (const name of ["active", "view"]) {
        const mounts = await (name === "view" ? snapshotter.view(name, "base") : snapshotter.prepare(name, "base"));
        await context.mounted(mounts, async (root) => {
          if (name === "active") await writeFile(join(root, "directory/file"), "contents");
          await removeAllowed(snapshotter, name);
          await assertReadable(root);
        });
        await removeIfThere(snapshotter, name);
      }
    },
  },
  {
    name: "what a removed view shows stays readable although its parent is removed too, or that removal is refused",
    rows: ["C04"],
    needs: ["mount"],
    async run(context) {
      const snapshotter = await context.open();
      await makeBase(context, snapshotter);
      await layer(context, snapshotter, { name: "child", on: "base" }, async () => undefined);
      await context.mounted(await snapshotter.view("view", "child"), async (root) => {
        for (const name of ["view", "child", "base"]) if (!(await removeAllowed(snapshotter, name))) break;
        await assertReadable(root);
      });
      for (const name of ["view", "child", "base"]) await removeIfThere(snapshotter, name);
    },
  },
  {
    name: "a cleanup leaves what is mounted readable",
    rows: ["C04", "U-OVL.9"],
    needs: ["mount", "cleanup"],
    async run(context) {
      const snapshotter = await context.open();
      assert.ok(canCleanup(snapshotter));
      await makeBase(context, snapshotter);
      await context.mounted(await snapshotter.prepare("active", "base"), async (root) => {
        await writeFile(join(root, "directory/file"), "contents");
        for (const name of ["active", "base"]) if (!(await removeAllowed(snapshotter, name))) break;
        // It may say that it could not take everything.
        await snapshotter.cleanup().catch((error: unknown) => {
          if (!hasCode(error, "ERR_UNAVAILABLE")) throw error;
        });
        await assertReadable(root);
      });
      for (const name of ["active", "base"]) await removeIfThere(snapshotter, name);
      await snapshotter.cleanup();
    },
  },
];

async function makeBase(context: CaseContext, snapshotter: Snapshotter): Promise<void> {
  await layer(context, snapshotter, { name: "base" }, async (root) => {
    await mkdir(join(root, "directory"));
    await writeFile(join(root, "directory/file"), "contents");
  });
}

async function assertReadable(root: string): Promise<void> {
  assert.deepEqual(await readdir(join(root, "directory")), ["file"]);
  assert.equal(await readFile(join(root, "directory/file"), "utf8"), "contents");
}

/** Whether it was removed; a snapshotter may say instead that it is in use. */
async function removeAllowed(snapshotter: Snapshotter, name: string): Promise<boolean> {
  try {
    await snapshotter.remove(name);
    return true;
  } catch (error) {
    if (hasCode(error, "ERR_UNAVAILABLE")) return false;
    throw error;
  }
}

/** Nothing is mounted any more, so there is no reason left to refuse. */
async function removeIfThere(snapshotter: Snapshotter, name: string): Promise<void> {
  await snapshotter.remove(name).catch((error: unknown) => {
    if (!hasCode(error, "ERR_NOT_FOUND")) throw error;
  });
  await rejects(snapshotter.stat(name), "ERR_NOT_FOUND");
}
