import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openSnapshotStore } from "@varve/snapshots-store";
import type { SnapshotStore } from "@varve/snapshots-store";
import { describe, expect, test } from "vitest";
import { fillDisk, smallDisk } from "./disk.ts";
import { tempRoot } from "./temp-root.ts";

const isRoot = process.geteuid?.() === 0;

async function build(directory: string): Promise<void> {
  mkdirSync(join(directory, "fs"));
  writeFileSync(join(directory, "fs/file"), "some text");
}

async function commit(store: SnapshotStore, name: string): Promise<void> {
  await store.create({ kind: "active", key: `${name}-key`, build });
  await store.commit({ name, key: `${name}-key`, seal: async () => ({ bytes: 0, inodes: 2 }) });
}

async function names(store: SnapshotStore): Promise<string[]> {
  return (await Array.fromAsync(store.walk())).map(({ name }) => name);
}

/** What stands in a root apart from the database. */
function directories(root: string): string[] {
  return readdirSync(root).filter((name) => !/^(metadata\.db|filler-)/.test(name));
}

// F01
describe.skipIf(!isRoot)("a full disk (privileged: mounts a tmpfs)", () => {
  test("lets go of the active snapshot that has filled it", async () => {
    using disk = smallDisk();
    await using store = await openSnapshotStore({ root: disk.path });
    const { id } = await store.create({ kind: "active", key: "big", build });
    expect(() => fillDisk(join(store.directory(id), "fs"))).toThrow("ENOSPC");
    await expect(store.create({ kind: "active", key: "more", build })).rejects.toMatchObject({ code: "ENOSPC" });
    await store.remove("big");
    await expect(store.stat("big")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
    await store.create({ kind: "active", key: "more", build });
    // What the failed call left behind is there for the next cleanup.
    await store.cleanup();
    expect(directories(disk.path)).toHaveLength(1);
  });

  test("that somebody else has filled can be opened, read and emptied, one snapshot after the other", async () => {
    using disk = smallDisk();
    const all = Array.from({ length: 60 }, (_, index) => `name-${index}`);
    const first = await openSnapshotStore({ root: disk.path });
    for (const name of all) await first.create({ kind: "view", key: name });
    await commit(first, "committed");
    await first.close();
    expect(() => fillDisk(disk.path)).toThrow("ENOSPC");
    await using store = await openSnapshotStore({ root: disk.path });
    expect(await names(store)).toEqual([...all, "committed"]);
    await expect(fillWithViews(store)).rejects.toMatchObject({
      code: "ENOSPC",
      message: `snapshot store ${join(disk.path, "metadata.db")}: no space left on device`,
    });
    for (const name of await names(store)) {
      await store.remove(name);
      // Views have no directories, so nothing but the record gets smaller; and what that gave is taken.
      expect(() => fillDisk(join(disk.path))).toThrow("ENOSPC");
    }
    expect(await names(store)).toEqual([]);
    expect(directories(disk.path)).toEqual([]);
  });

  test("has no room for a new store, and says so", async () => {
    using disk = smallDisk("1m");
    mkdirSync(join(disk.path, "root"));
    expect(() => fillDisk(disk.path)).toThrow("ENOSPC");
    await expect(openSnapshotStore({ root: join(disk.path, "root") })).rejects.toMatchObject({
      code: "ENOSPC",
      message: expect.stringContaining(`snapshot store ${join(disk.path, "root/metadata.db")}`),
    });
  });
});

async function fillWithViews(store: SnapshotStore): Promise<never> {
  const labels = { label: "x".repeat(4000) };
  for (let index = 0; ; index += 1) await store.create({ kind: "view", key: `more-${index}` }, { labels });
}

// F05
describe.skipIf(!isRoot)("a read-only disk (privileged: mounts a tmpfs)", () => {
  const refused = { code: "EROFS", message: expect.stringContaining("metadata.db: read-only file system") };

  test.each(["closed the store", "was killed"])(
    "is read where the last who wrote %s, and written once it can be",
    async (how) => {
      using disk = smallDisk();
      using aside = tempRoot();
      const writing = await openSnapshotStore({ root: disk.path });
      await commit(writing, "name");
      // As a killed process leaves it: with the log, and what the users of the log share.
      execFileSync("cp", ["-a", `${disk.path}/.`, aside.path]);
      mkdirSync(join(disk.path, "rm-abcdef"));
      await writing.close();
      if (how === "was killed") execFileSync("cp", ["-a", `${aside.path}/.`, disk.path]);
      disk.remount("ro");
      await using store = await openSnapshotStore({ root: disk.path });
      expect(await names(store)).toEqual(["name"]);
      expect((await store.stat("name")).kind).toBe("committed");
      expect(await store.get("name")).toMatchObject({ id: 1, parentIds: [] });
      await expect(store.remove("name")).rejects.toMatchObject(refused);
      await expect(store.update("name", { a: "b" })).rejects.toMatchObject(refused);
      await expect(store.create({ kind: "view", key: "view", parent: "name" })).rejects.toMatchObject(refused);
      await expect(store.create({ kind: "active", key: "key", build })).rejects.toMatchObject({ code: "EROFS" });
      await expect(store.cleanup()).rejects.toMatchObject(refused);
      disk.remount("rw");
      await store.cleanup();
      await store.create({ kind: "view", key: "view", parent: "name" });
      expect(await names(store)).toEqual(["name", "view"]);
      expect(directories(disk.path)).toEqual(["1"]);
    },
  );

  test("shows what others have written on it meanwhile", async () => {
    using disk = smallDisk();
    await (await openSnapshotStore({ root: disk.path })).close();
    disk.remount("ro");
    await using store = await openSnapshotStore({ root: disk.path });
    expect(await names(store)).toEqual([]);
    disk.remount("rw");
    const other = await openSnapshotStore({ root: disk.path });
    await commit(other, "name");
    await other.close();
    disk.remount("ro");
    expect(await names(store)).toEqual(["name"]);
  });

  test("cannot get a new store, and says so", async () => {
    using disk = smallDisk("1m");
    mkdirSync(join(disk.path, "empty"));
    disk.remount("ro");
    for (const root of ["empty", "not/there"]) {
      await expect(openSnapshotStore({ root: join(disk.path, root) })).rejects.toMatchObject({ code: "EROFS" });
    }
  });
});
