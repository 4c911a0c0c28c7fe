import { copyFileSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hasCode } from "@varve/errors";
import { describe, expect, test } from "vitest";
import { names, openIn, put, raw, table, tempDir } from "./temp.ts";

const second = "ALTER TABLE items ADD COLUMN more TEXT NOT NULL DEFAULT 'more'";
const applicationId = 0x76727665;

// C08
test("a file of an older format is brought forward in one step, whoever comes first", async () => {
  using temp = tempDir();
  {
    using old = await openIn(temp.path);
    await put(old, "a");
  }
  const opened = await Promise.all([1, 2, 3].map(() => openIn(temp.path, { migrations: [table, second] })));
  for (const database of opened) {
    expect(await database.read((session) => session.all("SELECT name, more FROM items"))).toEqual([
      { name: "a", more: "more" },
    ]);
    database.close();
  }
  using other = raw(temp.path);
  expect(other.prepare("PRAGMA user_version").get()).toEqual({ user_version: 2 });
});

test("a migration that fails leaves the file as it was", async () => {
  using temp = tempDir();
  (await openIn(temp.path)).close();
  const broken = openIn(temp.path, { migrations: [table, `${second}; ALTER TABLE nothing ADD COLUMN a TEXT`] });
  await expect(broken).rejects.toMatchObject({ code: "ERR_INTERNAL" });
  using other = raw(temp.path);
  expect(other.prepare("PRAGMA user_version").get()).toEqual({ user_version: 1 });
  expect(other.prepare("SELECT * FROM items").columns()).toHaveLength(2);
});

// C08
test("a file of a newer format is refused and left alone", async () => {
  using temp = tempDir();
  (await openIn(temp.path, { migrations: [table, second] })).close();
  const path = join(temp.path, "items.db");
  const before = readFileSync(path);
  await expect(openIn(temp.path)).rejects.toMatchObject({
    code: "ERR_NOT_IMPLEMENTED",
    message: `items ${path}: format 2 is newer than 1, the newest known to this version`,
  });
  expect(readFileSync(path)).toEqual(before);
});

describe.each([
  { is: "ours to tell by its number", options: { applicationId }, code: "ERR_INVALID_DATA" },
  { is: "in a directory of ours", options: {}, code: "ERR_DATA_LOSS" },
])("a file that is to be $is", ({ options, code }) => {
  test("is refused and left alone if it is a database of another program", async () => {
    using temp = tempDir();
    {
      using theirs = raw(temp.path);
      theirs.exec("CREATE TABLE theirs (a)");
    }
    const path = join(temp.path, "items.db");
    const before = readFileSync(path);
    const says = `items ${path}: a database of another program`;
    await expect(openIn(temp.path, options)).rejects.toMatchObject({ code, message: says });
    expect(readFileSync(path)).toEqual(before);
  });

  test("is refused and left alone if it is no database", async () => {
    using temp = tempDir();
    const path = join(temp.path, "items.db");
    const text = "something else, and long enough to have a header of its own".repeat(9);
    writeFileSync(path, text);
    await expect(openIn(temp.path, options)).rejects.toMatchObject({ code, message: `items ${path}: not a database` });
    expect(readFileSync(path, "utf8")).toBe(text);
  });
});

test("a database with the number of another is none of ours", async () => {
  using temp = tempDir();
  (await openIn(temp.path, { applicationId })).close();
  await expect(openIn(temp.path, { applicationId: 7 })).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
  await expect(openIn(temp.path)).rejects.toMatchObject({ code: "ERR_DATA_LOSS" });
  using again = await openIn(temp.path, { applicationId });
  expect(await names(again)).toEqual([]);
});

test("whoever knows of records is asked before a file or its tables are made", async () => {
  using temp = tempDir();
  const asked: string[] = [];
  const path = join(temp.path, "items.db");
  const lost = new Error("there are traces");
  const throwsAt = (moment: string) => (when: string) => {
    asked.push(when);
    if (when === moment) throw lost;
  };
  await expect(openIn(temp.path, { mustNotBeLost: throwsAt("connecting") })).rejects.toBe(lost);
  expect(() => readFileSync(path)).toThrow("ENOENT");
  writeFileSync(path, "");
  await expect(openIn(temp.path, { mustNotBeLost: throwsAt("making") })).rejects.toBe(lost);
  {
    using other = raw(temp.path);
    expect(other.prepare("SELECT * FROM sqlite_master").all()).toEqual([]);
  }
  expect(asked).toEqual(["connecting", "connecting", "making"]);
  using database = await openIn(temp.path, { mustNotBeLost: throwsAt("never") });
  expect(await names(database)).toEqual([]);
  database.close();
  asked.length = 0;
  using again = await openIn(temp.path, { mustNotBeLost: throwsAt("making") });
  expect([await names(again), asked]).toEqual([[], ["connecting"]]);
});

function zero(path: string, start: number, length: number): void {
  writeFileSync(path, readFileSync(path).fill(0, start, start + length));
}

/** How many items there are in a file, or as what it is told to be damaged. */
async function itemsOrDamage(directory: string): Promise<unknown> {
  try {
    using database = await openIn(directory);
    const problems = await database.problems();
    return problems.length > 0 ? "damaged" : (await names(database)).length;
  } catch (error) {
    return hasCode(error, "ERR_DATA_LOSS") ? "damaged" : error;
  }
}

// P07
describe("a file of which a part was damaged", () => {
  const damages: Readonly<Record<string, (path: string, size: number) => void>> = {
    "the last page": (path, size) => zero(path, size - 4096, 4096),
    "a page in the middle": (path, size) => zero(path, Math.floor(size / 8192) * 4096, 4096),
    "the schema": (path) => zero(path, 100, 3996),
    "the header": (path) => zero(path, 0, 100),
    "the second half": (path, size) => truncateSync(path, Math.floor(size / 8192) * 4096),
  };
  test.each(Object.keys(damages))("(%s) is told as such, and works when it is mended", async (part) => {
    using temp = tempDir();
    const path = join(temp.path, "items.db");
    {
      using whole = await openIn(temp.path);
      await Promise.all(Array.from({ length: 500 }, (_, index) => put(whole, `item ${index}`, "x".repeat(100))));
    }
    copyFileSync(path, `${path}.before`);
    damages[part]?.(path, readFileSync(path).byteLength);
    expect(await itemsOrDamage(temp.path)).toBe("damaged");
    copyFileSync(`${path}.before`, path);
    expect(await itemsOrDamage(temp.path)).toBe(500);
  });
});
