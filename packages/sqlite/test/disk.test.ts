import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Database } from "@varve/sqlite";
import { fillDisk, insert, isRoot, names, openIn, put, smallDisk, tempDir } from "./temp.ts";

const noSpace = { code: "ENOSPC", message: expect.stringContaining("items.db: no space left on device") };

async function putUntilFull(database: Database, prefix: string): Promise<never> {
  for (let index = 0; ; index += 1) await put(database, `${prefix}-${index}`, "x".repeat(20_000));
}

function take(database: Database, name: string): Promise<number> {
  return database.free((session) => session.run("DELETE FROM items WHERE name = ?", name));
}

// F01
describe.skipIf(!isRoot)("a full disk (needs root to mount)", () => {
  test("is told as such, and what was written before stays", async () => {
    using disk = smallDisk();
    using database = await openIn(disk.path);
    await put(database, "a");
    fillDisk(disk.path);
    await expect(putUntilFull(database, "b")).rejects.toMatchObject(noSpace);
    expect((await names(database))[0]).toBe("a");
    expect(await database.problems()).toEqual([]);
  });

  test("can be emptied, one by one and all at once, also if what gets free is taken by others", async () => {
    using disk = smallDisk();
    using database = await openIn(disk.path);
    const all = Array.from({ length: 120 }, (_, index) => `small-${index}`);
    await Promise.all(all.map((name) => put(database, name)));
    fillDisk(disk.path);
    await expect(putUntilFull(database, "big")).rejects.toMatchObject(noSpace);
    for (const name of all.slice(0, 80)) {
      expect(await take(database, name)).toBe(1);
      fillDisk(disk.path);
    }
    const ends = await Promise.all(all.slice(80).map((name) => take(database, name)));
    expect(new Set(ends)).toEqual(new Set([1]));
    expect((await names(database)).filter((name) => name.startsWith("small"))).toEqual([]);
  });

  test("that somebody has filled since is opened, read and emptied; the space held back is then held again", async () => {
    using disk = smallDisk();
    {
      using database = await openIn(disk.path);
      await put(database, "a");
    }
    fillDisk(disk.path);
    using database = await openIn(disk.path);
    expect(await names(database)).toEqual(["a"]);
    expect(await take(database, "a")).toBe(1);
    for (const name of readdirSync(disk.path)) if (name.startsWith("filler-")) rmSync(join(disk.path, name));
    database.close();
    (await openIn(disk.path)).close();
    expect(statSync(join(disk.path, "items.db-reserve")).size).toBe(512 * 1024);
  });

  test("has no room for a new database, and says so", async () => {
    using disk = smallDisk("1m");
    mkdirSync(join(disk.path, "new"));
    fillDisk(disk.path);
    await expect(openIn(join(disk.path, "new"))).rejects.toMatchObject({
      code: "ENOSPC",
      message: expect.stringContaining(`items ${join(disk.path, "new", "items.db")}`),
    });
  });

  test("has what was done outside of the database undone, whether a statement or the commit fails", async () => {
    using disk = smallDisk();
    using database = await openIn(disk.path);
    fillDisk(disk.path);
    const things = new Set<string>();
    // A few pages are written by the commit, more than fit into memory before.
    for (const size of [5000, 8_000_000]) {
      const writes = Array.from({ length: 20 }, (_, index) =>
        database.write((session) => {
          session.run(insert, `thing-${index}`, "x".repeat(size));
          things.add(`${index}`);
          session.undo(() => things.delete(`${index}`));
        }),
      );
      const ends = await Promise.allSettled(writes);
      const kept = ends.flatMap(({ status }, index) => (status === "fulfilled" ? [`${index}`] : []));
      expect(kept.length).toBeLessThan(20);
      expect([...things].toSorted()).toEqual(kept.toSorted());
      expect((await names(database)).map((name) => name.slice(6)).toSorted()).toEqual(kept.toSorted());
      await database.free((session) => session.run("DELETE FROM items"));
      things.clear();
    }
  });
});

// F05
describe.skipIf(!isRoot)("a read-only disk (needs root to mount)", () => {
  const refused = { code: "EROFS", message: expect.stringContaining("items.db: read-only file system") };

  test.each(["closed the file", "was killed"])(
    "is read where the last who wrote %s, and written once it can be",
    async (how) => {
      using disk = smallDisk();
      using aside = tempDir();
      const writing = await openIn(disk.path);
      await put(writing, "a");
      // As a killed process leaves it: with the log, and what the users of the log share.
      execFileSync("cp", ["-a", `${disk.path}/.`, aside.path]);
      writing.close();
      if (how === "was killed") execFileSync("cp", ["-a", `${aside.path}/.`, disk.path]);
      disk.remount("ro");
      using database = await openIn(disk.path);
      expect([database.readOnly, await names(database)]).toEqual([true, ["a"]]);
      await expect(put(database, "b")).rejects.toMatchObject(refused);
      await expect(take(database, "a")).rejects.toMatchObject(refused);
      await expect(database.settle()).rejects.toMatchObject(refused);
      expect(await names(database)).toEqual(["a"]);
      disk.remount("rw");
      await put(database, "c");
      expect([database.readOnly, await names(database)]).toEqual([false, ["a", "c"]]);
    },
  );

  test("is not read where there is a log that cannot be shared with others", async () => {
    using disk = smallDisk();
    using aside = tempDir();
    (await openIn(disk.path)).close();
    const writing = await openIn(disk.path);
    await put(writing, "only in the log");
    execFileSync("cp", ["-a", `${disk.path}/.`, aside.path]);
    writing.close();
    execFileSync("cp", ["-a", `${aside.path}/.`, disk.path]);
    rmSync(join(disk.path, "items.db-shm"));
    disk.remount("ro");
    await expect(openIn(disk.path)).rejects.toMatchObject({ code: "EROFS" });
  });

  test("shows what others have written on it meanwhile", async () => {
    using disk = smallDisk();
    (await openIn(disk.path)).close();
    disk.remount("ro");
    using database = await openIn(disk.path);
    expect(await names(database)).toEqual([]);
    await expect(put(database, "a")).rejects.toMatchObject(refused);
    disk.remount("rw");
    const other = await openIn(disk.path);
    await put(other, "a");
    expect(await names(database)).toEqual(["a"]);
    database.close();
    other.close();
    disk.remount("ro");
    using again = await openIn(disk.path);
    expect(await names(again)).toEqual(["a"]);
    disk.remount("rw");
    using writing = await openIn(disk.path);
    await put(writing, "b");
    writing.close();
    disk.remount("ro");
    expect(await names(again)).toEqual(["a", "b"]);
  });

  // F12
  test("that loses the file before it can be written shows nothing in its place", async () => {
    using disk = smallDisk();
    (await openIn(disk.path)).close();
    disk.remount("ro");
    using database = await openIn(disk.path);
    disk.remount("rw");
    rmSync(database.path);
    const gone = { code: "ERR_DATA_LOSS", message: `items ${database.path}: is gone` };
    await expect(names(database)).rejects.toMatchObject(gone);
    await expect(put(database, "a")).rejects.toMatchObject(gone);
    expect(existsSync(database.path)).toBe(false);
  });

  test("cannot get a new file, and a file of an older format is not brought forward", async () => {
    using disk = smallDisk();
    const first = "CREATE TABLE items (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT";
    (await openIn(disk.path, { migrations: [first] })).close();
    mkdirSync(join(disk.path, "empty"));
    disk.remount("ro");
    for (const directory of ["empty", "not/there"]) {
      await expect(openIn(join(disk.path, directory))).rejects.toMatchObject({ code: "EROFS" });
    }
    await expect(openIn(disk.path, { migrations: [first, "SELECT 1"] })).rejects.toMatchObject({
      code: "EROFS",
      message: `items ${join(disk.path, "items.db")}: format 1 has to be brought to 2: read-only file system`,
    });
  });
});
