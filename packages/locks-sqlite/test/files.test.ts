import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { openSharedLocks } from "@varve/locks-sqlite";
import { describe, expect, test } from "vitest";
import { start } from "./child-process.ts";
import { isRoot, rowsIn, smallDisk, tempDir } from "./temp.ts";

/** A file with enough in it that damage can be anywhere. */
async function makeFull(file: string): Promise<void> {
  await (await openSharedLocks(file)).close();
  const database = new DatabaseSync(file);
  const insert = database.prepare("INSERT INTO locks VALUES (?, 'of a dead process', 'x', 1, 1000000000000)");
  for (let index = 0; index < 500; index += 1) insert.run(`key ${index}`.padEnd(100, "."));
  database.close();
}

const damages: readonly { readonly name: string; readonly damage: (file: string) => void }[] = [
  { name: "that is no database", damage: (file) => writeFileSync(file, "nothing of the kind".repeat(1000)) },
  { name: "of zeros", damage: (file) => writeFileSync(file, Buffer.alloc(statSync(file).size)) },
  { name: "that ends too early", damage: (file) => truncateSync(file, Math.floor(statSync(file).size / 2)) },
  {
    name: "with a page of other bytes",
    damage: (file) => {
      const bytes = readFileSync(file);
      bytes.fill(0x5a, 3 * 4096, 4 * 4096);
      writeFileSync(file, bytes);
    },
  },
];

// What is never synced may be anything after a power cut
test.each(damages)("a file $name is put aside, and locks work", async ({ damage }) => {
  using temp = tempDir();
  await makeFull(temp.file);
  damage(temp.file);
  const bytes = readFileSync(temp.file);
  await using locks = await openSharedLocks(temp.file);
  await using other = await openSharedLocks(temp.file);
  const held = await locks.acquire("a");
  await other.run("b", async () => undefined);
  expect(rowsIn(temp.file)[0]).toMatchObject({ key: "a" });
  expect(readFileSync(`${temp.file}-damaged`).equals(bytes)).toBe(true);
  held();
});

test("users of one process that find the damage at the same time make one new file", async () => {
  using temp = tempDir();
  writeFileSync(temp.file, "garbage".repeat(1000));
  const users = await Promise.all([1, 2, 3, 4].map(() => openSharedLocks(temp.file)));
  await Promise.all(users.map((user, index) => user.acquire(`key ${index}`)));
  expect(rowsIn(temp.file)).toHaveLength(4);
  await Promise.all(users.map((user) => user.close()));
});

test("processes that find the damage at the same time make one new file", async () => {
  using temp = tempDir();
  for (let round = 0; round < 3; round += 1) {
    writeFileSync(temp.file, `garbage ${round}`.repeat(1000));
    const children = ["a", "b", "c", "d"].map((key) => start(temp.file, "open", key));
    try {
      await Promise.all(children.map((child) => child.line()));
      for (const child of children) child.poke();
      expect(await Promise.all(children.map((child) => child.line()))).toEqual(["held", "held", "held", "held"]);
      expect(rowsIn(temp.file).map(({ key }) => key)).toEqual(["a", "b", "c", "d"]);
    } finally {
      await Promise.all(children.map((child) => child.kill()));
    }
  }
});

test("the database of another program stays as it is, and is named", async () => {
  using temp = tempDir();
  const database = new DatabaseSync(temp.file);
  database.exec("CREATE TABLE theirs (x)");
  database.close();
  const before = readFileSync(temp.file);
  await expect(openSharedLocks(temp.file)).rejects.toMatchObject({
    code: "ERR_INVALID_DATA",
    message: `locks ${temp.file}: a database of another program`,
  });
  expect(readFileSync(temp.file).equals(before)).toBe(true);
  expect(readdirSync(temp.path)).not.toContain("locks.db-damaged");
});

test("a file of a newer version stays as it is, and is named", async () => {
  using temp = tempDir();
  await (await openSharedLocks(temp.file)).close();
  const database = new DatabaseSync(temp.file);
  database.exec("PRAGMA user_version = 99");
  database.close();
  await expect(openSharedLocks(temp.file)).rejects.toMatchObject({ code: "ERR_NOT_IMPLEMENTED" });
});

test("a directory in its place is named", async () => {
  using temp = tempDir();
  mkdirSync(temp.file);
  await expect(openSharedLocks(temp.file)).rejects.toMatchObject({
    code: "EISDIR",
    message: expect.stringContaining(temp.file),
  });
});

describe.skipIf(!isRoot)("a disk (needs root to mount)", () => {
  test.each(["with", "without"])("that is read-only is named, %s a file", async (how) => {
    using disk = smallDisk();
    if (how === "with") await (await openSharedLocks(disk.file)).close();
    disk.remount("ro");
    await expect(openSharedLocks(disk.file)).rejects.toMatchObject({
      code: "EROFS",
      message: expect.stringContaining(disk.file),
    });
  });

  // F01
  test("that gets full keeps nobody from giving a key back", async () => {
    using disk = smallDisk();
    await using one = await openSharedLocks(disk.file);
    await using two = await openSharedLocks(disk.file);
    const keys = Array.from({ length: 200 }, (_, index) => `key ${index}`.padEnd(150, "."));
    const releases = await Promise.all(keys.map((key) => one.acquire(key)));
    const waits = keys.slice(0, 3).map((key) => two.acquire(key));
    disk.fill();
    for (const release of releases) release();
    for (const release of await Promise.all(waits)) release();
    await Promise.all([one.close(), two.close()]);
    expect(rowsIn(disk.file)).toEqual([]);
  });

  test("that does not take a key back gets it when it can, and the same process need not wait for that", async () => {
    using disk = smallDisk();
    await using one = await openSharedLocks(disk.file, { stallMs: 6000 });
    await using two = await openSharedLocks(disk.file, { stallMs: 3_600_000 });
    const releases = await Promise.all(["a", "b"].map((key) => one.acquire(key)));
    rmSync(`${disk.file}-reserve`);
    disk.fill();
    const acquireUntilFull = async (): Promise<never> => {
      for (let index = 0; ; index += 1) await one.acquire(`more ${index}`);
    };
    await expect(acquireUntilFull()).rejects.toMatchObject({ code: "ENOSPC" });
    for (const release of releases) release();
    const told: string[] = [];
    const waiting = two.acquire("b");
    // It is there again when giving back has failed for good.
    while (!existsSync(`${disk.file}-reserve`)) {
      await expect(one.acquire("more")).rejects.toMatchObject({ code: "ENOSPC" });
    }
    const keys = rowsIn(disk.file).map(({ key }) => key);
    disk.empty();
    const again = await one.acquire("a", { onWait: () => told.push("waits") });
    (await waiting)();
    expect(keys).toEqual(expect.arrayContaining(["a", "b"]));
    expect(told).toEqual([]);
    again();
  });
});
