import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { measureTree, openSnapshotStore } from "@varve/snapshots-store";
import { expect, test } from "vitest";
import { mountOf } from "../src/mount-id.ts";
import { removeEmptyDirectory } from "../src/remove-empty.ts";
import { removeTree } from "../src/remove-tree.ts";
import { tempRoot } from "./temp-root.ts";

const root = process.geteuid?.() === 0;

/** A store with one snapshot, whose directory `fill` has filled; what `remove` leaves is the result. */
async function removed(path: string, fill: (directory: string) => void): Promise<string[]> {
  await using store = await openSnapshotStore({ root: path });
  await store.create({ kind: "active", key: "key", build: async (directory) => fill(directory) });
  await store.remove("key");
  return readdirSync(path).filter((name) => !name.startsWith("metadata.db"));
}

/** Deeper than any path may be long: built from the inside out. */
function makeDeep(directory: string, depth: number): void {
  const [inner, outer] = [join(directory, "deep"), join(directory, "outer")];
  mkdirSync(inner);
  writeFileSync(join(inner, "leaf"), "");
  for (let level = 1; level < depth; level += 1) {
    mkdirSync(outer);
    renameSync(inner, join(outer, "directory"));
    renameSync(outer, inner);
  }
}

async function buildVolume(directory: string): Promise<void> {
  mkdirSync(join(directory, "fs/volume"), { recursive: true });
}

test("a removal follows no link", async () => {
  using base = tempRoot();
  const canary = join(base.path, "canary");
  mkdirSync(canary);
  writeFileSync(join(canary, "file"), "");
  const left = await removed(join(base.path, "root"), (directory) => {
    mkdirSync(join(directory, "fs"));
    symlinkSync(canary, join(directory, "fs/link"));
    symlinkSync(join(canary, "file"), join(directory, "fs/file-link"));
    symlinkSync("/", join(directory, "work"));
  });
  expect(left).toEqual([]);
  expect(existsSync(join(canary, "file"))).toBe(true);
});

test("a tree deeper than a path can be long is removed and measured", async () => {
  using base = tempRoot();
  mkdirSync(join(base.path, "measured"));
  makeDeep(join(base.path, "measured"), 2100);
  expect((await measureTree(join(base.path, "measured"))).inodes).toBe(2102);
  const left = await removed(join(base.path, "root"), (directory) => {
    renameSync(join(base.path, "measured"), join(directory, "fs"));
  });
  expect(left).toEqual([]);
});

test("names that are not text and directories that may not be written are removed", async () => {
  using base = tempRoot();
  const left = await removed(join(base.path, "root"), (directory) => {
    mkdirSync(Buffer.concat([Buffer.from(`${directory}/`), Buffer.from([0xff, 0xfe, 0x0a])]), { mode: 0o500 });
    mkdirSync(join(directory, "work"));
    mkdirSync(join(directory, "work/work"), { mode: 0o000 });
    for (let index = 0; index < 100; index += 1) writeFileSync(join(directory, `work/file-${index}`), "");
  });
  expect(left).toEqual([]);
});

test.skipIf(!root)("a directory that something is mounted in is left alone until it is not (needs root)", async () => {
  using base = tempRoot();
  const canary = join(base.path, "canary");
  mkdirSync(canary);
  writeFileSync(join(canary, "file"), "");
  await using store = await openSnapshotStore({ root: join(base.path, "root") });
  const { id } = await store.create({ kind: "active", key: "key", build: buildVolume });
  execFileSync("mount", ["--bind", canary, join(store.directory(id), "fs/volume")]);
  try {
    // The name is free, and the files of somebody else are still there.
    await store.remove("key");
    await expect(store.stat("key")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
    await expect(store.cleanup()).rejects.toMatchObject({ code: "ERR_UNAVAILABLE" });
    expect(existsSync(join(canary, "file"))).toBe(true);
  } finally {
    const [trash = ""] = readdirSync(store.root).filter((name) => name.startsWith("rm-"));
    execFileSync("umount", [join(store.root, trash, "fs/volume")]);
  }
  await store.cleanup();
  expect(readdirSync(store.root).filter((name) => !name.startsWith("metadata.db"))).toEqual([]);
  expect(existsSync(join(canary, "file"))).toBe(true);
});

test("usage counts blocks and not lengths, hard links once, and no link's target", async () => {
  using base = tempRoot();
  const path = (name: string): string => join(base.path, name);
  writeFileSync(path("file"), "x".repeat(10_000), { flush: true });
  linkSync(path("file"), path("again"));
  writeFileSync(path("sparse"), "");
  truncateSync(path("sparse"), 1 << 30);
  symlinkSync("/usr", path("link"));
  mkdirSync(path("directory"));
  writeFileSync(path("directory/file"), "", { flush: true });
  linkSync(path("file"), path("directory/third"));
  const counted = [".", "file", "sparse", "link", "directory", "directory/file"];
  const blocks = counted.reduce((sum, name) => sum + lstatSync(path(name)).blocks, 0);
  expect(await measureTree(base.path)).toEqual({ bytes: blocks * 512, inodes: counted.length });
});

test("measuring can be aborted", async () => {
  using base = tempRoot();
  const reason = new Error("enough");
  await expect(measureTree(base.path, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
});

// What a mount table read before cannot tell; nothing from outside can hit that moment.
test.skipIf(!root)("what is mounted over a directory on its way out is not emptied (needs root)", async () => {
  using base = tempRoot();
  for (const name of ["root/rm-abcdef", "canary"]) mkdirSync(join(base.path, name), { recursive: true });
  const canary = join(base.path, "canary");
  writeFileSync(join(canary, "file"), "");
  const covered = join(base.path, "root/rm-abcdef");
  const mount = mountOf(join(base.path, "root"));
  execFileSync("mount", ["--bind", canary, covered]);
  try {
    await expect(removeTree(join(base.path, "root"), "rm-abcdef", mount)).rejects.toMatchObject({
      code: "ERR_UNAVAILABLE",
    });
    expect(existsSync(join(canary, "file"))).toBe(true);
    renameSync(join(canary, "file"), join(base.path, "file"));
    mkdirSync(join(canary, "empty"));
    expect(removeEmptyDirectory(covered, mount)).toBe(false);
    expect(existsSync(join(canary, "empty"))).toBe(true);
  } finally {
    execFileSync("umount", [covered]);
  }
  await removeTree(join(base.path, "root"), "rm-abcdef", mount);
  expect(readdirSync(join(base.path, "root"))).toEqual([]);
});
