import { statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { insert, names, openIn, put, raw, table, tempDir } from "./temp.ts";

test("the file and its directories are made for this user alone", async () => {
  using temp = tempDir();
  using database = await openIn(join(temp.path, "a", "b"));
  expect(database.path).toBe(join(temp.path, "a", "b", "items.db"));
  expect(statSync(join(temp.path, "a")).mode & 0o777).toBe(0o700);
  for (const suffix of ["", "-wal", "-shm", "-reserve"]) expect(statSync(database.path + suffix).mode & 0o077).toBe(0);
});

test("a read sees one state, and rows come by the names of their columns", async () => {
  using temp = tempDir();
  using database = await openIn(temp.path);
  using other = raw(temp.path);
  await put(database, "a", "1");
  const counts = await database.read((session) => {
    const before = session.get("SELECT count(*) AS n FROM items");
    other.exec("INSERT INTO items VALUES ('b', '2')");
    return [before?.["n"], session.get("SELECT count(*) AS n FROM items")?.["n"]];
  });
  expect(counts).toEqual([1, 1]);
  expect(await names(database)).toEqual(["a", "b"]);
  expect(await database.read((session) => session.get("SELECT 1 FROM items WHERE name = 'none'"))).toBeUndefined();
});

test("a text with a zero byte comes back whole, or is refused where Node 22 would give back a part of it", async () => {
  using temp = tempDir();
  using database = await openIn(temp.path);
  const name = "a\0b";
  const find = "SELECT name FROM items WHERE name = ?";
  const calls = [
    put(database, name),
    database.read((session) => session.all(find, name)),
    database.read((session) => session.get(find, name)),
  ];
  const outcomes = await Promise.allSettled(calls);
  const refused = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [String(outcome.reason)] : []));
  const isNode22 = process.versions.node.startsWith("22.");
  expect(refused).toHaveLength(isNode22 ? calls.length : 0);
  for (const why of refused)
    expect(why).toMatch(/text "a\\u0000b": holds a zero byte, at which Node 22\.[0-9.]+ would cut/);
  expect(await names(database)).toEqual(isNode22 ? [] : [name]);
});

test("a write says what its section returns, and how many rows a statement has changed", async () => {
  using temp = tempDir();
  using database = await openIn(temp.path);
  await Promise.all(["a", "b"].map((name) => put(database, name)));
  expect(await database.write((session) => session.run("UPDATE items SET value = 'x'"))).toBe(2);
  const returned = await database.write((session) => session.get("DELETE FROM items WHERE name = 'a' RETURNING value"));
  expect(returned).toEqual({ value: "x" });
});

test("what a section throws passes as it is, and nothing of it is kept", async () => {
  using temp = tempDir();
  using database = await openIn(temp.path);
  const failure = new Error("of the caller");
  const failing = database.write((session) => {
    session.run(insert, "a", "");
    throw failure;
  });
  await expect(failing).rejects.toBe(failure);
  const reading = database.read(() => {
    throw failure;
  });
  await expect(reading).rejects.toBe(failure);
  await put(database, "b");
  expect(await names(database)).toEqual(["b"]);
});

test("what SQLite says of a wrong statement has the name of the database", async () => {
  using temp = tempDir();
  using database = await openIn(temp.path);
  const wrong = [
    ["INSERT INTO items VALUES ('a', NULL)", "NOT NULL constraint failed: items.value"],
    ["SELECT * FROM nowhere", "no such table: nowhere"],
  ] as const;
  for (const [sql, says] of wrong) {
    const write = database.write((session) => session.run(sql));
    await expect(write).rejects.toMatchObject({
      code: "ERR_INTERNAL",
      message: `items ${database.path}: ${says}`,
      cause: expect.any(Error),
    });
  }
});

test("a closed database says so, and gives up what was waiting", async () => {
  using temp = tempDir();
  const database = await openIn(temp.path);
  const waiting = Promise.allSettled([put(database, "a"), put(database, "b")]);
  database.close();
  database.close();
  const closed = { code: "ERR_FAILED_PRECONDITION", message: `items ${database.path}: closed` };
  const rejected = { status: "rejected", reason: expect.objectContaining(closed) };
  expect(await waiting).toEqual([rejected, rejected]);
  await expect(names(database)).rejects.toMatchObject(closed);
  await expect(put(database, "a")).rejects.toMatchObject(closed);
  expect(() => database.mustBeOpen()).toThrow(expect.objectContaining(closed));
});

test("references are held to", async () => {
  using temp = tempDir();
  const child = "CREATE TABLE parts (item TEXT NOT NULL REFERENCES items (name) ON DELETE CASCADE)";
  using database = await openIn(temp.path, { migrations: [table, child] });
  await expect(database.write((session) => session.run("INSERT INTO parts VALUES ('none')"))).rejects.toThrow(
    "FOREIGN",
  );
  await put(database, "a");
  await database.write((session) => session.run("INSERT INTO parts VALUES ('a')"));
  await database.write((session) => session.run("DELETE FROM items"));
  expect(await database.read((session) => session.all("SELECT * FROM parts"))).toEqual([]);
});

test("a file that is whole has no problems, and one that is not tells them", async () => {
  using temp = tempDir();
  using database = await openIn(temp.path, { migrations: [table, "CREATE TABLE ages (age INTEGER CHECK (age > 0))"] });
  await put(database, "a");
  expect(await database.problems()).toEqual([]);
  using other = raw(temp.path);
  other.exec("PRAGMA ignore_check_constraints = ON; INSERT INTO ages VALUES (-1)");
  expect(await database.problems()).toEqual(["CHECK constraint failed in ages"]);
});

test("what is recorded is there when it resolves; what a section throws undoes it, and those beside it are kept", async () => {
  using temp = tempDir();
  using database = await openIn(temp.path);
  const failure = new Error("of the caller");
  const record = (name: string): Promise<number> => database.record((session) => session.run(insert, name, ""));
  const failing = database.record((session) => {
    session.run(insert, "b", "");
    throw failure;
  });
  const ends = await Promise.allSettled([record("a"), failing, record("c")]);
  expect(ends.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(await names(database)).toEqual(["a", "c"]);
});
