import { digestOf } from "@varve/digest";
import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { expect, test } from "vitest";
// Not exported: what is to be shown here is what no store of the package shows.
import { Database } from "../src/database.ts";
import { openDatabase } from "../src/open-database.ts";
import { list, newWorld, tempDir } from "./temp.ts";
import type { TempDir } from "./temp.ts";

const insert = "INSERT INTO namespaces (name, labels) VALUES (?, '{}')";
const target = { mediaType: "application/vnd.oci.image.manifest.v1+json", digest: digestOf("m"), size: 1 };

async function openIn(temp: TempDir): Promise<Database> {
  return openDatabase({ path: join(temp.path, "metadata.db"), durability: "none" });
}

async function names(database: Database): Promise<unknown[]> {
  return database.read((session) => session.all("SELECT name FROM namespaces ORDER BY name").map((row) => row["name"]));
}

test("writes that are asked for at once share a transaction, and what one of them fails with undoes only its own part", async () => {
  await using temp = await tempDir();
  const database = await openIn(temp);
  const failure = new Error("one of them");
  const versions = await Promise.allSettled(
    ["a", "b", "c", "d"].map((name) =>
      database.write((session) => {
        session.run(insert, name);
        session.run(insert, `${name}-too`);
        if (name === "b") throw failure;
        return session.get("SELECT total_changes() AS n")?.["n"];
      }),
    ),
  );
  expect(versions.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled", "fulfilled"]);
  expect(versions[1]).toEqual({ status: "rejected", reason: failure });
  expect(await names(database)).toEqual(["a", "a-too", "c", "c-too", "d", "d-too"]);
  database.close();
});

test("a write that fails in SQLite fails alone", async () => {
  await using temp = await tempDir();
  const database = await openIn(temp);
  const writes = ["a", "a", "b"].map((name) => database.write((session) => session.run(insert, name)));
  const ends = await Promise.allSettled(writes);
  expect(ends.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(await names(database)).toEqual(["a", "b"]);
  database.close();
});

test("writes that ended the transaction of all are made alone, so that only theirs fail", async () => {
  await using temp = await tempDir();
  const database = await openIn(temp);
  const ends = await Promise.allSettled([
    database.write((session) => session.run(insert, "a")),
    database.write((session) => {
      session.run(insert, "b");
      session.run("ROLLBACK");
      throw new Error("as a full disk does");
    }),
    database.write((session) => session.run(insert, "c")),
  ]);
  expect(ends.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(await names(database)).toEqual(["a", "c"]);
  database.close();
});

test("writes that wait for another process are made in their order, and one that gives up is not made", async () => {
  await using temp = await tempDir();
  const database = await openIn(temp);
  const other = new DatabaseSync(join(temp.path, "metadata.db"));
  other.exec("BEGIN IMMEDIATE");
  const controller = new AbortController();
  const order: string[] = [];
  const add = (name: string, signal?: AbortSignal): Promise<unknown> =>
    database.write((session) => {
      session.run(insert, name);
      order.push(name);
    }, signal);
  const first = add("a");
  const given = add("b", controller.signal);
  const last = add("c");
  const reason = new Error("enough");
  controller.abort(reason);
  await expect(given).rejects.toBe(reason);
  other.exec("COMMIT");
  other.close();
  await Promise.all([first, last]);
  expect(order).toEqual(["a", "c"]);
  database.close();
});

test("what is asked for when the database is closed fails as such", async () => {
  await using temp = await tempDir();
  const database = await openIn(temp);
  const writes = ["a", "b"].map((name) => database.write((session) => session.run(insert, name)));
  database.close();
  const ends = await Promise.allSettled(writes);
  const closed = { status: "rejected", reason: expect.objectContaining({ code: "ERR_FAILED_PRECONDITION" }) };
  expect(ends).toEqual([closed, closed]);
});

test("hundreds of writes at once are all made", async () => {
  await using world = await newWorld({ durability: "full" });
  const images = Array.from({ length: 500 }, (_, index) => `image-${index}`);
  await Promise.all(images.map((name) => world.one.images.put({ name, target })));
  expect(await list(world.one.images.list())).toHaveLength(500);
});
