import { join } from "node:path";
import { expect, test } from "vitest";
import { insert, names, openIn, put, raw, tempDir } from "./temp.ts";
import type { Database, WriteSession } from "@varve/sqlite";

/** Things outside of the database, which sections change. */
class Outside {
  readonly things = new Set<string>();
  readonly log: string[] = [];

  /** A section that makes a thing and its record, and then fails if told to. */
  maker(name: string, end?: () => void): (session: WriteSession) => void {
    return (session) => {
      session.run(insert, name, "");
      for (const half of [`${name}-1`, `${name}-2`]) {
        this.things.add(half);
        this.log.push(`made ${half}`);
        session.undo(() => {
          this.things.delete(half);
          this.log.push(`undone ${half}`);
        });
      }
      end?.();
    };
  }
}

const fail = (): never => {
  throw new Error("in the section");
};

test("what is kept is not undone", async () => {
  using temp = tempDir();
  using database = await openIn(temp.path);
  const outside = new Outside();
  await Promise.all(["a", "b"].map((name) => database.write(outside.maker(name))));
  await expect(put(database, "a")).rejects.toThrow("UNIQUE");
  expect([...outside.things]).toEqual(["a-1", "a-2", "b-1", "b-2"]);
});

test("a section that fails is undone alone, the last part first", async () => {
  using temp = tempDir();
  using database = await openIn(temp.path);
  const outside = new Outside();
  await expect(database.write(outside.maker("a", fail))).rejects.toThrow("in the section");
  expect(outside.log).toEqual(["made a-1", "made a-2", "undone a-2", "undone a-1"]);
  const ends = await Promise.allSettled([
    database.write(outside.maker("b")),
    database.write(outside.maker("c", fail)),
    database.write(outside.maker("d")),
  ]);
  expect(ends.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect([...outside.things]).toEqual(["b-1", "b-2", "d-1", "d-2"]);
  expect(await names(database)).toEqual(["b", "d"]);
});

test("all are undone while nobody else can write, if the commit fails", async () => {
  using temp = tempDir();
  const deferred = "CREATE TABLE t (p TEXT REFERENCES items (name) DEFERRABLE INITIALLY DEFERRED)";
  using database = await openIn(temp.path, {
    migrations: ["CREATE TABLE items (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT", deferred],
  });
  const outside = new Outside();
  const others: unknown[] = [];
  const tryToWrite = (): void => {
    using other = raw(temp.path);
    try {
      other.exec("BEGIN IMMEDIATE");
      others.push("could write");
    } catch (error) {
      others.push(error instanceof Error ? error.message : error);
    }
  };
  const wrong = (session: WriteSession): void => {
    session.undo(tryToWrite);
    // Noticed by the commit only.
    session.run("INSERT INTO t VALUES ('nobody')");
  };
  const ends = await Promise.allSettled([
    database.write(outside.maker("a")),
    database.write(wrong),
    database.write(outside.maker("b")),
  ]);
  expect(ends.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(new Set(others)).toEqual(new Set(["database is locked"]));
  // Made together, undone together, and made again each alone.
  const undone = ["undone b-2", "undone b-1", "undone a-2", "undone a-1"];
  const [a, b] = [
    ["made a-1", "made a-2"],
    ["made b-1", "made b-2"],
  ] as const;
  expect(outside.log).toEqual([...a, ...b, ...undone, ...a, ...b]);
  expect(await names(database)).toEqual(["a", "b"]);
});

/** Ends the transaction as a full disk does. */
async function endedBySqlite(database: Database, outside: Outside, meanwhile: () => void): Promise<void> {
  let runs = 0;
  const write = database.write((session) => {
    outside.maker("a")(session);
    runs += 1;
    session.run("ROLLBACK");
    meanwhile();
    throw new Error("as a full disk does");
  });
  await expect(write).rejects.toThrow("as a full disk does");
  expect(runs).toBe(1);
}

test("what was done in a transaction that SQLite has ended is undone under a new lock", async () => {
  using temp = tempDir();
  using database = await openIn(temp.path);
  const outside = new Outside();
  await endedBySqlite(database, outside, () => {});
  expect([...outside.things]).toEqual([]);
  await put(database, "b");
  expect(await names(database)).toEqual(["b"]);
});

test.each(["has written", "is writing"])(
  "what was done in a transaction that SQLite has ended stays as it is if somebody else %s since",
  async (what) => {
    using temp = tempDir();
    using database = await openIn(temp.path);
    using other = raw(temp.path);
    const outside = new Outside();
    await endedBySqlite(database, outside, () => {
      other.exec("BEGIN IMMEDIATE; INSERT INTO items VALUES ('theirs', '')");
      if (what === "has written") other.exec("COMMIT");
    });
    expect([...outside.things]).toEqual(["a-1", "a-2"]);
    if (other.isTransaction) other.exec("COMMIT");
    // Nothing of it is undone later, with another.
    await expect(database.write(fail)).rejects.toThrow("in the section");
    await put(database, "b");
    expect([...outside.things]).toEqual(["a-1", "a-2"]);
    expect(await names(database)).toEqual(["b", "theirs"]);
  },
);

test("what an undoing throws does not keep the others from being undone, and hides no failure", async () => {
  using temp = tempDir();
  using database = await openIn(temp.path);
  const outside = new Outside();
  const write = database.write((session) => {
    outside.maker("a")(session);
    session.undo(() => {
      throw new Error(`not in ${join("any", "way")}`);
    });
    fail();
  });
  await expect(write).rejects.toThrow("in the section");
  expect([...outside.things]).toEqual([]);
});
