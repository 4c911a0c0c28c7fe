import type * as fs from "node:fs";
import { statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { afterEach, expect, test, vi } from "vitest";
import { insert, names, openIn, tempDir } from "./temp.ts";

/** What the disk says to the syncs of logs that are asked for beside SQLite. */
const disk = vi.hoisted(() => ({ fails: false }));

vi.mock("node:fs", async (original) => {
  const real = await original<typeof fs>();
  const fdatasync = (fd: number, callback: fs.NoParamCallback): void => {
    if (disk.fails) callback(Object.assign(new Error("EIO: i/o error, fdatasync"), { code: "EIO" }));
    else real.fdatasync(fd, callback);
  };
  return { ...real, fdatasync };
});

afterEach(() => void (disk.fails = false));

const failsOnce = { code: "EIO", message: expect.stringContaining("items.db: cannot be written to the disk") };

test("a log that could not be synced is told of, and brought into the database, so that nothing after it is lost", async () => {
  using temp = tempDir();
  using database = await openIn(temp.path, { durability: "full" });
  disk.fails = true;
  await expect(database.record((session) => session.run(insert, "a", ""))).rejects.toMatchObject(failsOnce);
  expect(statSync(`${database.path}-wal`).size).toBe(0);
  disk.fails = false;
  await database.record((session) => session.run(insert, "b", ""));
  expect(await names(database)).toEqual(["a", "b"]);
});

test("while it cannot be, nothing is acknowledged that would be lost with it; then all is well again", async () => {
  using temp = tempDir();
  using database = await openIn(temp.path, { durability: "full" });
  await database.record((session) => session.run(insert, "before", ""));
  // Who reads keeps the log from being emptied.
  using reader = new DatabaseSync(database.path);
  reader.exec("BEGIN");
  reader.prepare("SELECT * FROM items").all();
  disk.fails = true;
  await expect(database.record((session) => session.run(insert, "a", ""))).rejects.toMatchObject(failsOnce);
  disk.fails = false;
  await expect(database.write((session) => session.run(insert, "b", ""))).rejects.toMatchObject(failsOnce);
  await expect(database.record((session) => session.run(insert, "c", ""))).rejects.toMatchObject(failsOnce);
  reader.exec("COMMIT");
  await database.write((session) => session.run(insert, "d", ""));
  expect(await names(database)).toEqual(["a", "before", "d"]);
});

test("a database that is closed syncs nothing", async () => {
  using temp = tempDir();
  const database = await openIn(temp.path, { durability: "full" });
  database.close();
  await expect(database.sync()).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
});
