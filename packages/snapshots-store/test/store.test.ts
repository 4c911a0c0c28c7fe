import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { openSnapshotStore } from "@varve/snapshots-store";
import type { SnapshotStore } from "@varve/snapshots-store";
import { expect, test } from "vitest";
import { tempRoot } from "./temp-root.ts";

const usage = { bytes: 4096, inodes: 2 };

async function commit(store: SnapshotStore, name: string, parent?: string): Promise<number> {
  await store.create({ kind: "active", key: `${name}-key`, parent, build: buildEmpty });
  return (await store.commit({ name, key: `${name}-key`, seal: async () => usage })).id;
}

async function buildEmpty(directory: string): Promise<void> {
  mkdirSync(join(directory, "fs"));
}

async function buildHalf(directory: string): Promise<void> {
  writeFileSync(join(directory, "half"), "");
  throw new Error("no more");
}

/** A build that the system refuses. */
function failing(code: string): () => Promise<void> {
  return async () => {
    throw Object.assign(new Error(`${code}: refused`), { code });
  };
}

/** What stands in a root apart from the database. */
function directories(root: string): string[] {
  return readdirSync(root).filter((name) => !name.startsWith("metadata.db"));
}

// C-MS.1
test("an empty store knows nobody", async () => {
  using root = tempRoot();
  await using store = await openSnapshotStore({ root: root.path });
  await expect(store.get("a")).rejects.toMatchObject({ code: "ERR_NOT_FOUND", message: "snapshot a: not found" });
  await expect(store.stat("a")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
});

// U-MS.1, C-MS.4
test("ids only grow, outlive the commit, and are never given twice", async () => {
  using root = tempRoot();
  const ids: number[] = [];
  for (let round = 0; round < 3; round += 1) {
    await using store = await openSnapshotStore({ root: root.path });
    const { id } = await store.create({ kind: "active", key: "key", build: buildEmpty });
    const committed = await store.commit({ name: "name", key: "key", seal: async () => usage });
    expect(committed.id).toBe(id);
    ids.push(id);
    await store.remove("name");
  }
  expect(ids).toEqual([...new Set(ids)].toSorted((a, b) => a - b));
});

// C-MS.3, C-MS.14
test("parents are told nearest first", async () => {
  using root = tempRoot();
  await using store = await openSnapshotStore({ root: root.path });
  const one = await commit(store, "one");
  const two = await commit(store, "two", "one");
  const three = await commit(store, "three", "two");
  const other = await commit(store, "other", "one");
  expect((await store.get("three")).parentIds).toEqual([two, one]);
  await store.create({ kind: "view", key: "view", parent: "three" });
  expect((await store.get("view")).parentIds).toEqual([three, two, one]);
  await store.create({ kind: "view", key: "other-view", parent: "other" });
  expect((await store.get("other-view")).parentIds).toEqual([other, one]);
});

// C-MS.8
test("a commit keeps the usage that its sealing measured", async () => {
  using root = tempRoot();
  await using store = await openSnapshotStore({ root: root.path });
  await commit(store, "name");
  expect((await store.get("name")).usage).toEqual(usage);
});

test("a snapshot is not committed before its sealing is done, and not at all if that fails", async () => {
  using root = tempRoot();
  await using store = await openSnapshotStore({ root: root.path });
  await store.create({ kind: "active", key: "key" });
  const seal = async (): Promise<never> => {
    expect((await store.stat("key")).kind).toBe("active");
    await expect(store.stat("name")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
    throw new Error("disk is gone");
  };
  await expect(store.commit({ name: "name", key: "key", seal })).rejects.toThrow("disk is gone");
  expect((await store.stat("key")).kind).toBe("active");
});

test("a key that was removed and made anew while it was sealed is not committed", async () => {
  using root = tempRoot();
  await using store = await openSnapshotStore({ root: root.path });
  await store.create({ kind: "active", key: "key" });
  const seal = async (): Promise<typeof usage> => {
    await store.remove("key");
    await store.create({ kind: "active", key: "key" });
    return usage;
  };
  await expect(store.commit({ name: "name", key: "key", seal })).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  expect((await store.stat("key")).kind).toBe("active");
});

test("a directory is closed to others until it is in its place", async () => {
  using root = tempRoot();
  await using store = await openSnapshotStore({ root: root.path });
  let built = "";
  const build = async (directory: string): Promise<void> => {
    built = directory;
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    writeFileSync(join(directory, "file"), "");
  };
  const { id } = await store.create({ kind: "active", key: "key", build });
  expect(existsSync(built)).toBe(false);
  expect(existsSync(join(store.directory(id), "file"))).toBe(true);
});

test("a build that fails leaves neither record nor directory", async () => {
  using root = tempRoot();
  await using store = await openSnapshotStore({ root: root.path });
  await expect(store.create({ kind: "active", key: "key", build: buildHalf })).rejects.toThrow("no more");
  await expect(store.stat("key")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  expect(directories(root.path)).toEqual([]);
});

test("a build that fails because its parent was removed says so", async () => {
  using root = tempRoot();
  await using store = await openSnapshotStore({ root: root.path });
  await commit(store, "base");
  const build = async (): Promise<void> => {
    await store.remove("base");
    throw new Error("ENOENT");
  };
  await expect(store.create({ kind: "active", key: "key", parent: "base", build })).rejects.toMatchObject({
    code: "ERR_NOT_FOUND",
    message: "snapshot base: not found",
  });
});

test("what was built on a parent that was removed and made anew is not put on the new one", async () => {
  using root = tempRoot();
  await using store = await openSnapshotStore({ root: root.path });
  await commit(store, "base");
  const build = async (): Promise<void> => {
    await store.remove("base");
    await commit(store, "base");
  };
  await expect(store.create({ kind: "active", key: "key", parent: "base", build })).rejects.toMatchObject({
    code: "ERR_NOT_FOUND",
    message: "snapshot base: not found",
  });
  await expect(store.stat("key")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
});

test("a key that is taken while the directory is built costs the directory only", async () => {
  using root = tempRoot();
  await using store = await openSnapshotStore({ root: root.path });
  const build = async (): Promise<void> => {
    await store.create({ kind: "view", key: "key" });
  };
  await expect(store.create({ kind: "active", key: "key", build })).rejects.toMatchObject({
    code: "ERR_ALREADY_EXISTS",
  });
  expect((await store.stat("key")).kind).toBe("view");
  expect(directories(root.path)).toEqual([]);
});

test("an abort after the build leaves nothing", async () => {
  using root = tempRoot();
  await using store = await openSnapshotStore({ root: root.path });
  const controller = new AbortController();
  const reason = new Error("enough");
  const build = async (): Promise<void> => controller.abort(reason);
  const creation = store.create({ kind: "active", key: "key", build }, { signal: controller.signal });
  await expect(creation).rejects.toBe(reason);
  expect(directories(root.path)).toEqual([]);
});

test("labels that are too long are refused at the creation and the commit", async () => {
  using root = tempRoot();
  await using store = await openSnapshotStore({ root: root.path });
  const labels = { a: "b".repeat(4096) };
  const refused = { code: "ERR_INVALID_ARGUMENT" };
  await expect(store.create({ kind: "active", key: "key" }, { labels })).rejects.toMatchObject(refused);
  await store.create({ kind: "active", key: "key" });
  const sealing = { name: "name", key: "key", seal: async () => usage };
  await expect(store.commit(sealing, { labels })).rejects.toMatchObject(refused);
  await expect(store.create({ kind: "active", key: "" })).rejects.toMatchObject(refused);
});

// C-MS.2
test("a walk over more than one batch gives each snapshot once", async () => {
  using root = tempRoot();
  await using store = await openSnapshotStore({ root: root.path });
  for (let index = 0; index < 600; index += 1) await store.create({ kind: "view", key: `key-${index}` });
  const seen: string[] = [];
  for await (const info of store.walk()) {
    seen.push(info.name);
    // Neither what is removed nor what is renamed behind the walk may disturb it.
    if (seen.length % 3 === 0) await store.remove(info.name);
  }
  expect(new Set(seen).size).toBe(600);
});

// U-OVL.1, and the reason is that other users must not reach setuid files
test("the root is closed to other users, even one that was there", async () => {
  using root = tempRoot();
  const path = join(root.path, "new/snapshots");
  await (await openSnapshotStore({ root: path })).close();
  expect(statSync(path).mode & 0o777).toBe(0o700);
  chmodSync(path, 0o755);
  await (await openSnapshotStore({ root: path })).close();
  expect(statSync(path).mode & 0o777).toBe(0o700);
});

test("a store of a newer program is refused", async () => {
  using root = tempRoot();
  await (await openSnapshotStore({ root: root.path })).close();
  const database = new DatabaseSync(join(root.path, "metadata.db"));
  database.exec("PRAGMA user_version = 7");
  database.close();
  await expect(openSnapshotStore({ root: root.path })).rejects.toMatchObject({ code: "ERR_NOT_IMPLEMENTED" });
});

test("a damaged record is told from other errors", async () => {
  using root = tempRoot();
  writeFileSync(join(root.path, "metadata.db"), "this is no database, but it is long enough".repeat(100));
  await expect(openSnapshotStore({ root: root.path })).rejects.toMatchObject({ code: "ERR_DATA_LOSS" });
});

test("a root that cannot be made says what the system says", async () => {
  using root = tempRoot();
  writeFileSync(join(root.path, "file"), "");
  await expect(openSnapshotStore({ root: join(root.path, "file/root") })).rejects.toMatchObject({ code: "ENOTDIR" });
});

test("a closed store fails clearly", async () => {
  using root = tempRoot();
  const store = await openSnapshotStore({ root: root.path });
  await store.close();
  await expect(store.stat("a")).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
});

// K09, K15, U-OVL.9
test("opening and cleaning up take what belongs to no snapshot and nothing else", async () => {
  using root = tempRoot();
  const litter = (): void => {
    // Of a process that is dead, of another boot, of nobody known; an id without record; and a removal cut short.
    for (const name of ["new-00000000-1-1-1-abcdef", "new-123456", "999", "rm-abcdef"]) {
      mkdirSync(join(root.path, name, "fs/below"), { recursive: true });
      writeFileSync(join(root.path, name, "fs/below/file"), "");
    }
  };
  await (await openSnapshotStore({ root: root.path })).close();
  litter();
  await using store = await openSnapshotStore({ root: root.path });
  expect(directories(root.path)).toEqual([]);
  const { id } = await store.create({ kind: "active", key: "key", build: buildEmpty });
  mkdirSync(join(root.path, "probe-of-somebody"));
  litter();
  await store.cleanup();
  expect(directories(root.path).toSorted()).toEqual([String(id), "probe-of-somebody"].toSorted());
});

test("a directory left under the next id does not become part of the new snapshot", async () => {
  using root = tempRoot();
  await using store = await openSnapshotStore({ root: root.path });
  mkdirSync(join(root.path, "1/fs/old"), { recursive: true });
  const { id } = await store.create({ kind: "active", key: "key", build: buildEmpty });
  expect(id).toBe(1);
  expect(readdirSync(join(store.directory(1), "fs"))).toEqual([]);
});

// F12
test.each(["ELOOP", "ENOTDIR"])("a build that meets %s says that somebody was at the parent", async (code) => {
  using root = tempRoot();
  await using store = await openSnapshotStore({ root: root.path });
  await commit(store, "base");
  await expect(
    store.create({ kind: "active", key: "key", parent: "base", build: failing(code) }),
  ).rejects.toMatchObject({
    code: "ERR_DATA_LOSS",
    message: "snapshot key: cannot be made: somebody replaced the directory of snapshot base meanwhile",
  });
  expect(directories(root.path)).toEqual(["1"]);
});

// F05, F08
test("what the system says while a snapshot is built names the snapshot", async () => {
  using root = tempRoot();
  await using store = await openSnapshotStore({ root: root.path });
  await expect(store.create({ kind: "active", key: "key", build: failing("EROFS") })).rejects.toMatchObject({
    code: "EROFS",
    message: expect.stringMatching(/^snapshot key: cannot be made: EROFS: refused '.*'$/),
  });
});
