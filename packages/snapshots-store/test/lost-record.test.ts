import { existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { openSnapshotStore } from "@varve/snapshots-store";
import { expect, test } from "vitest";
import { tempRoot } from "./temp-root.ts";

async function build(directory: string): Promise<void> {
  writeFileSync(join(directory, "file"), "some text");
}

/** What may be left of a record, each made from a whole one. */
const losses: Readonly<Record<string, (database: string) => void>> = {
  "0 bytes": (database) => truncateSync(database, 0),
  "1 byte": (database) => truncateSync(database, 1),
  nothing: (database) => rmSync(database),
  "a database without tables": (database) => {
    rmSync(database);
    const empty = new DatabaseSync(database);
    empty.exec("PRAGMA journal_mode = WAL");
    empty.close();
  },
};

// P07, I1
test.each(Object.keys(losses))(
  "where %s is left of the record, its snapshots are not taken for litter",
  async (left) => {
    using root = tempRoot();
    const database = join(root.path, "metadata.db");
    const store = await openSnapshotStore({ root: root.path });
    const { id } = await store.create({ kind: "active", key: "key", build });
    const file = join(store.directory(id), "file");
    await store.close();
    losses[left]?.(database);
    for (let round = 0; round < 2; round += 1) {
      await expect(openSnapshotStore({ root: root.path })).rejects.toMatchObject({
        code: "ERR_DATA_LOSS",
        message: expect.stringMatching(
          /^snapshot store \S+\/metadata\.db: the record is (gone|empty), but 1 snapshot directory stands beside it: nothing was removed/,
        ),
      });
    }
    expect(readFileSync(file, "utf8")).toBe("some text");
    expect(existsSync(database)).toBe(left !== "nothing");
  },
);

// F12: whoever wipes a store wants a new one
test("a root that was wiped is a new store, and so is a record of which only the empty file was made", async () => {
  using root = tempRoot();
  const path = join(root.path, "store");
  await using first = await openSnapshotStore({ root: path });
  await first.create({ kind: "active", key: "key", build });
  await first.close();
  rmSync(path, { recursive: true });
  await (await openSnapshotStore({ root: path })).close();
  rmSync(join(path, "metadata.db"));
  writeFileSync(join(path, "metadata.db"), "");
  await using store = await openSnapshotStore({ root: path });
  await expect(Array.fromAsync(store.walk())).resolves.toEqual([]);
});
