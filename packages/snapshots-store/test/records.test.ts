import { existsSync, mkdirSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { openSnapshotStore } from "@varve/snapshots-store";
import { labelGidMapping, labelUidMapping } from "@varve/snapshots";
import { commit, open } from "./backend.ts";
import type { Opened } from "./backend.ts";
import { tempRoot } from "./temp-root.ts";

async function names({ snapshotter }: Opened, ...filters: string[]): Promise<string[]> {
  return (await Array.fromAsync(snapshotter.walk({ filters }))).map(({ name }) => name).toSorted();
}

/** Two committed ones, an active one on each, and a view. */
async function populate(opened: Opened): Promise<void> {
  const { snapshotter } = opened;
  await commit(opened, "base");
  await commit(opened, "a,b", undefined, "base");
  await snapshotter.prepare("on-base", "base", { labels: { keep: "yes", "a.b": "c" } });
  await snapshotter.prepare("on-top", "a,b");
  await snapshotter.view("view", "base", { labels: { keep: "no" } });
}

// U-SN.7, C-SN.8
test.each([
  [[], ["a,b", "base", "on-base", "on-top", "view"]],
  [["name==base"], ["base"]],
  [['name=="a,b"'], ["a,b"]],
  [["parent==base"], ["a,b", "on-base", "view"]],
  [['parent==""'], ["base"]],
  [["parent==nobody"], []],
  [["kind==active"], ["on-base", "on-top"]],
  [["kind==committed,name==base"], ["base"]],
  [["name==base,name==view"], []],
  [["name!=base,parent==base"], ["a,b", "on-base", "view"]],
  [
    ["kind==view", "name==on-top"],
    ["on-top", "view"],
  ],
  [["labels.keep"], ["on-base", "view"]],
  [["labels.keep==yes"], ["on-base"]],
  [['labels."a.b"==c'], ["on-base"]],
  [["name~=^on-"], ["on-base", "on-top"]],
  [["shown"], []],
])("the filters %j let through %j", async (filters, expected) => {
  using root = tempRoot();
  await using opened = await open(root.path);
  await populate(opened);
  expect(await names(opened, ...filters)).toEqual(expected);
});

test("a filter that cannot be read is told before the first snapshot", async () => {
  using root = tempRoot();
  await using opened = await open(root.path);
  await commit(opened, "base");
  const walk = opened.snapshotter.walk({ filters: ["name==base", "name=~("] })[Symbol.asyncIterator]();
  await expect(walk.next()).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  await expect(Array.fromAsync(opened.store.walk({ filters: ["="] }))).rejects.toMatchObject({
    code: "ERR_INVALID_ARGUMENT",
  });
});

// U-OVL.10
test("labels that a backend shows are in stat, walk, update and filters, and nowhere on the disk", async () => {
  using root = tempRoot();
  await using opened = await open(root.path, {
    own: (store) => ({ labels: ({ id }) => ({ at: store.directory(id) }) }),
  });
  const { snapshotter, store } = opened;
  const path = join(await commit(opened, "name"), "..");
  expect((await snapshotter.stat("name")).labels).toEqual({ at: path });
  expect((await snapshotter.update("name", { own: "label" })).labels).toEqual({ at: path, own: "label" });
  expect(await names(opened, `labels.at=="${path}"`)).toEqual(["name"]);
  expect((await store.stat("name")).labels).toEqual({ own: "label" });
});

// C-SN.6, U-MS.7
test("an update replaces all labels only when asked to, in one step", async () => {
  using root = tempRoot();
  await using opened = await open(root.path);
  const { snapshotter } = opened;
  await snapshotter.prepare("key", undefined, { labels: { a: "1", b: "2" } });
  expect((await snapshotter.update("key", { b: "3", c: "4" })).labels).toEqual({ a: "1", b: "3", c: "4" });
  const replaced = await snapshotter.update("key", { d: "5", c: undefined }, { replace: true });
  expect(replaced.labels).toEqual({ d: "5" });
  expect((await snapshotter.stat("key")).labels).toEqual({ d: "5" });
  await expect(snapshotter.update("key", { d: "x".repeat(5000) }, { replace: true })).rejects.toMatchObject({
    code: "ERR_INVALID_ARGUMENT",
  });
  expect((await snapshotter.stat("key")).labels).toEqual({ d: "5" });
});

test("each change makes the time of the last change later", async () => {
  using root = tempRoot();
  await using opened = await open(root.path);
  const { snapshotter } = opened;
  await snapshotter.prepare("key", undefined);
  // The clock stands still, and goes back for the commit.
  vi.useFakeTimers({ toFake: ["Date"] });
  onTestFinished(() => void vi.useRealTimers());
  const times = [(await snapshotter.stat("key")).updatedAt.getTime()];
  for (let round = 0; round < 5; round += 1) times.push((await snapshotter.update("key", {})).updatedAt.getTime());
  vi.setSystemTime(Date.now() - 60_000);
  await snapshotter.commit("name", "key");
  const { createdAt, updatedAt } = await snapshotter.stat("name");
  times.push(updatedAt.getTime());
  expect(times.every((time, index) => index === 0 || time > (times[index - 1] ?? 0))).toBe(true);
  expect(updatedAt.getTime()).toBeGreaterThanOrEqual(createdAt.getTime());
});

// U-OVL.11
test("id mappings are read when a snapshot is prepared, and end up in its mounts", async () => {
  using root = tempRoot();
  await using opened = await open(root.path);
  const { snapshotter } = opened;
  await commit(opened, "base");
  const mapped = { [labelUidMapping]: "0:1000:10,10:5000:1", [labelGidMapping]: "0:2000:10" };
  const options = ["rw", "rbind", "uidmap=0:1000:10,10:5000:1", "gidmap=0:2000:10"];
  expect(await snapshotter.prepare("key", "base", { labels: mapped })).toMatchObject([{ options }]);
  expect(await snapshotter.mounts("key")).toMatchObject([{ options }]);
  expect(await snapshotter.view("view", "base", { labels: mapped })).toMatchObject([{ options }]);
  const refused = { code: "ERR_INVALID_ARGUMENT" };
  const wrong: Readonly<Record<string, string | undefined>>[] = [
    { [labelUidMapping]: "0:0", [labelGidMapping]: "0:0:1" },
    { [labelUidMapping]: "0:0:1", [labelGidMapping]: "0:0:1,ro" },
    { [labelUidMapping]: "0:0:1", [labelGidMapping]: undefined },
  ];
  for (const labels of wrong) {
    const given = Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== undefined));
    await expect(
      snapshotter.prepare("other", "base", { labels: given as Record<string, string> }),
    ).rejects.toMatchObject(refused);
    await expect(snapshotter.update("key", labels)).rejects.toMatchObject(refused);
  }
  await expect(snapshotter.stat("other")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  expect((await snapshotter.stat("key")).labels).toEqual(mapped);
});

/** A store as version 1 has left it: a committed snapshot, one that stands on it, and views with and without a directory. */
function makeVersion1(root: string): void {
  const database = new DatabaseSync(join(root, "metadata.db"));
  database.exec(`
    CREATE TABLE snapshots (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,
      kind TEXT NOT NULL CHECK (kind IN ('active', 'committed', 'view')), parent INTEGER REFERENCES snapshots (id),
      created INTEGER NOT NULL, updated INTEGER NOT NULL, bytes INTEGER, inodes INTEGER) STRICT;
    CREATE INDEX snapshots_by_parent ON snapshots (parent);
    CREATE TABLE labels (snapshot INTEGER NOT NULL REFERENCES snapshots (id) ON DELETE CASCADE, name TEXT NOT NULL,
      value TEXT NOT NULL, PRIMARY KEY (snapshot, name)) STRICT, WITHOUT ROWID;
    INSERT INTO snapshots VALUES (1, 'base', 'committed', NULL, 5, 6, 4096, 1), (2, 'top', 'active', 1, 5, 6, NULL, NULL),
      (3, 'view', 'view', 1, 5, 6, NULL, NULL), (4, 'empty', 'view', NULL, 5, 6, NULL, NULL),
      (5, 'lost', 'active', NULL, 5, 6, NULL, NULL);
    INSERT INTO labels VALUES (1, 'a', 'b');
    PRAGMA user_version = 1;
  `);
  database.close();
  for (const id of ["1", "2", "4"]) mkdirSync(join(root, id, "fs"), { recursive: true });
}

// C08
test("a store of the first version is brought to this one, and keeps its snapshots", async () => {
  using root = tempRoot();
  makeVersion1(root.path);
  for (let round = 0; round < 2; round += 1) {
    await using opened = await open(root.path);
    const { snapshotter, store } = opened;
    expect(await names(opened)).toEqual(["base", "empty", "top", "view"]);
    expect(await snapshotter.stat("base")).toMatchObject({ kind: "committed", labels: { a: "b" } });
    expect(await snapshotter.usage("base")).toEqual({ bytes: 4096, inodes: 1 });
    expect(await store.get("view")).toMatchObject({ hasDirectory: false, parentIds: [1] });
    // What it was when it was committed is not known.
    mkdirSync(join(root.path, "1/fs", `new-${round}`));
    expect(await Array.fromAsync(snapshotter.check())).toEqual([]);
  }
  await using opened = await open(root.path);
  await opened.snapshotter.commit("committed", "top");
  const { id } = await opened.snapshotter.prepare("next", "committed").then(() => opened.store.get("next"));
  expect(id).toBe(6);
  expect(existsSync(join(root.path, "6/fs"))).toBe(true);
});

// C-MS.2, S2.13
test("a walk survives that what it comes to is removed", async () => {
  using root = tempRoot();
  await using store = await openSnapshotStore({ root: root.path });
  for (const key of ["a", "b", "c"]) await store.create({ kind: "view", key });
  const seen: string[] = [];
  for await (const { name } of store.walk()) {
    seen.push(name);
    for (const key of ["b", "c"]) if (name === "a") await store.remove(key);
  }
  expect(seen[0]).toBe("a");
});
