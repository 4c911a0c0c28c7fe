import { expect, test } from "vitest";
import type { WriteSession } from "@varve/sqlite";
import { insert, names, openIn, put, raw, tempDir } from "./temp.ts";

test("writes that are asked for at once share a transaction, and what one of them fails with undoes only its own part", async () => {
  using temp = tempDir();
  using database = await openIn(temp.path);
  using other = raw(temp.path);
  const seen: unknown[] = [];
  const failure = new Error("one of them");
  const ends = await Promise.allSettled(
    ["a", "b", "c", "d"].map((name) =>
      database.write((session) => {
        session.run(insert, name, "");
        seen.push([
          other.prepare("SELECT count(*) AS n FROM items").get(),
          session.get("SELECT count(*) AS n FROM items"),
        ]);
        if (name === "b") throw failure;
      }),
    ),
  );
  expect(ends.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled", "fulfilled"]);
  expect(ends[1]).toEqual({ status: "rejected", reason: failure });
  expect(await names(database)).toEqual(["a", "c", "d"]);
  // Nobody else sees anything before the end, and each sees those before it.
  expect(seen).toEqual([1, 2, 2, 3].map((n) => [{ n: 0 }, { n }]));
});

test("a write that fails in SQLite fails alone", async () => {
  using temp = tempDir();
  using database = await openIn(temp.path);
  const ends = await Promise.allSettled(["a", "a", "b"].map((name) => put(database, name)));
  expect(ends.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(await names(database)).toEqual(["a", "b"]);
});

test("writes that ended the transaction of all are made alone, so that only theirs fail", async () => {
  using temp = tempDir();
  using database = await openIn(temp.path);
  const ends = await Promise.allSettled([
    put(database, "a"),
    database.write((session) => {
      session.run(insert, "b", "");
      session.run("ROLLBACK");
      throw new Error("as a full disk does");
    }),
    put(database, "c"),
  ]);
  expect(ends.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(await names(database)).toEqual(["a", "c"]);
});

test("nothing is kept of a write that cannot be told from the others any more", async () => {
  using temp = tempDir();
  using database = await openIn(temp.path);
  let isFirst = true;
  const ends = await Promise.allSettled([
    put(database, "a"),
    database.write((session) => {
      session.run(insert, "b", "");
      if (isFirst) session.run("RELEASE part");
      isFirst = false;
      throw new Error("in the section");
    }),
    put(database, "c"),
  ]);
  expect(ends.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(await names(database)).toEqual(["a", "c"]);
});

test("a write alone shares with nobody, and keeps its turn", async () => {
  using temp = tempDir();
  using database = await openIn(temp.path);
  using other = raw(temp.path);
  const committed = (): unknown => other.prepare("SELECT count(*) AS n FROM items").get()?.["n"];
  const seen: unknown[] = [];
  const section =
    (name: string) =>
    (session: WriteSession): void => {
      seen.push([name, committed()]);
      session.run(insert, name, "");
    };
  await Promise.all([
    database.write(section("a")),
    database.write(section("b")),
    database.writeAlone(section("c")),
    database.write(section("d")),
    database.write(section("e")),
  ]);
  expect(seen).toEqual([
    ["a", 0],
    ["b", 0],
    ["c", 2],
    ["d", 3],
    ["e", 3],
  ]);
});

test("writes that wait for another process are made in their order, and one that gives up is not made", async () => {
  using temp = tempDir();
  using database = await openIn(temp.path);
  using other = raw(temp.path);
  other.exec("BEGIN IMMEDIATE");
  const order: string[] = [];
  const add = (name: string, signal?: AbortSignal): Promise<unknown> =>
    database.write((session) => {
      session.run(insert, name, "");
      order.push(name);
    }, signal);
  const controller = new AbortController();
  const first = add("a");
  const given = add("b", controller.signal);
  const last = add("c");
  const reason = new Error("enough");
  controller.abort(reason);
  await expect(given).rejects.toBe(reason);
  await expect(add("d", AbortSignal.abort(reason))).rejects.toBe(reason);
  other.exec("COMMIT");
  await Promise.all([first, last]);
  expect(order).toEqual(["a", "c"]);
});

test("a write that has waited for too long says who is in the way, and the next is made", async () => {
  using temp = tempDir();
  using database = await openIn(temp.path, { patienceMs: 50 });
  using other = raw(temp.path);
  other.exec("BEGIN IMMEDIATE");
  const locked = {
    code: "ERR_UNAVAILABLE",
    message: `items ${database.path}: locked by another process for 0.05 s`,
    cause: expect.any(Error),
  };
  await expect(put(database, "a")).rejects.toMatchObject(locked);
  other.exec("COMMIT");
  await put(database, "b");
  expect(await names(database)).toEqual(["b"]);
});

test("hundreds of writes at once are all made", async () => {
  using temp = tempDir();
  using database = await openIn(temp.path, { durability: "full" });
  await Promise.all(Array.from({ length: 500 }, (_, index) => put(database, `item ${index}`)));
  expect(await names(database)).toHaveLength(500);
});

test("what is noted is there at once, and settled at the end", async () => {
  using temp = tempDir();
  using database = await openIn(temp.path, { durability: "full" });
  await database.note((session) => session.run(insert, "a", ""));
  await database.freeSoon((session) => session.run(insert, "b", ""));
  await database.settle();
  expect(await names(database)).toEqual(["a", "b"]);
});
