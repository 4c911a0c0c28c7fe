import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { commit, open } from "./backend.ts";
import { tempRoot } from "./temp-root.ts";

const notFound = { code: "ERR_NOT_FOUND" };
const exists = { code: "ERR_ALREADY_EXISTS" };
const failed = { code: "ERR_FAILED_PRECONDITION" };

// C-MS.1, C-MS.3, U-MS.3, S2.4, S2.10, S2.16
test("each snapshot is told as it is, and one that is not there as such", async () => {
  using root = tempRoot();
  await using opened = await open(root.path);
  const { snapshotter, store } = opened;
  await commit(opened, "base");
  await snapshotter.prepare("active", "base", { labels: { a: "b" } });
  await snapshotter.view("view", "base");
  expect(await snapshotter.stat("base")).toMatchObject({ kind: "committed", name: "base", labels: {} });
  expect((await snapshotter.stat("base")).parent).toBeUndefined();
  expect(await snapshotter.stat("active")).toMatchObject({ kind: "active", parent: "base", labels: { a: "b" } });
  expect(await snapshotter.stat("view")).toMatchObject({ kind: "view", name: "view", parent: "base" });
  const { id } = await store.get("base");
  expect(await store.get("active")).toMatchObject({ kind: "active", parentIds: [id] });
  await expect(snapshotter.mounts("base")).rejects.toMatchObject(failed);
  for (const call of [
    snapshotter.stat("x"),
    snapshotter.mounts("x"),
    snapshotter.usage("x"),
    snapshotter.update("x", {}),
  ]) {
    await expect(call).rejects.toMatchObject({ ...notFound, message: "snapshot x: not found" });
  }
});

// C-MS.5, C-MS.7, U-MS.2, S2.6, S2.8
test.each(["prepare", "view"] as const)("%s needs a parent that is there and committed", async (how) => {
  using root = tempRoot();
  await using opened = await open(root.path);
  const { snapshotter } = opened;
  await snapshotter.prepare("active", undefined);
  await expect(snapshotter[how]("key", "nope")).rejects.toMatchObject(notFound);
  // Where containerd says INVALID_ARGUMENT.
  await expect(snapshotter[how]("key", "active")).rejects.toMatchObject(failed);
  await expect(snapshotter.stat("key")).rejects.toMatchObject(notFound);
});

// C-MS.6, S2.7
test("a second prepare under one key fails and leaves the first as it was", async () => {
  using root = tempRoot();
  await using opened = await open(root.path);
  const { snapshotter, files } = opened;
  await snapshotter.prepare("key", undefined);
  writeFileSync(join(await files("key"), "file"), "");
  const mounts = await snapshotter.mounts("key");
  for (const how of ["prepare", "view"] as const) {
    await expect(snapshotter[how]("key", undefined)).rejects.toMatchObject(exists);
  }
  expect(await snapshotter.mounts("key")).toEqual(mounts);
  expect(existsSync(join(await files("key"), "file"))).toBe(true);
  await snapshotter.commit("name", "key");
});

// C-MS.8, C-MS.9, U-MS.4, S2.12
test("a commit takes the key away, keeps the files where they are, and has labels of its own", async () => {
  using root = tempRoot();
  await using opened = await open(root.path);
  const { snapshotter, files } = opened;
  await snapshotter.prepare("key", undefined, { labels: { of: "key" } });
  const path = await files("key");
  writeFileSync(join(path, "file"), "x".repeat(5000), { flush: true });
  const usage = await snapshotter.usage("key");
  await snapshotter.commit("name", "key", { labels: { of: "name" } });
  await expect(snapshotter.stat("key")).rejects.toMatchObject(notFound);
  await expect(snapshotter.commit("other", "key")).rejects.toMatchObject(notFound);
  expect(await snapshotter.stat("name")).toMatchObject({ kind: "committed", labels: { of: "name" } });
  expect(await snapshotter.usage("name")).toEqual(usage);
  expect(await files("name")).toBe(path);
  await snapshotter.prepare("key", "name");
});

// C-MS.10, C-MS.11, C-MS.12, U-MS.4, S2.11
test("a commit that cannot be leaves the active snapshot as it was", async () => {
  using root = tempRoot();
  await using opened = await open(root.path);
  const { snapshotter, files } = opened;
  await commit(opened, "base");
  await snapshotter.view("view", "base");
  await snapshotter.prepare("key", "base");
  writeFileSync(join(await files("key"), "file"), "");
  const before = await snapshotter.stat("key");
  for (const name of ["base", "view", "key"]) {
    await expect(snapshotter.commit(name, "key")).rejects.toMatchObject(exists);
    // The name is looked at first.
    await expect(snapshotter.commit(name, "nope")).rejects.toMatchObject(exists);
  }
  await expect(snapshotter.commit("name", "base")).rejects.toMatchObject(failed);
  await expect(snapshotter.commit("name", "view")).rejects.toMatchObject(failed);
  expect(await snapshotter.stat("key")).toEqual(before);
  expect(existsSync(join(await files("key"), "file"))).toBe(true);
  expect(existsSync(join(await files("key"), "../work"))).toBe(true);
  await snapshotter.commit("name", "key");
});

// C-MS.13, U-MS.6, S2.9
test("a snapshot is removed once nothing stands on it", async () => {
  using root = tempRoot();
  await using opened = await open(root.path);
  const { snapshotter, store } = opened;
  await commit(opened, "base");
  await snapshotter.prepare("active", "base");
  await snapshotter.view("view", "base");
  const directories = [];
  for (const name of ["active", "view"]) {
    await expect(snapshotter.remove("base")).rejects.toMatchObject(failed);
    directories.push(store.directory((await store.get(name)).id));
    await snapshotter.remove(name);
  }
  directories.push(store.directory((await store.get("base")).id));
  await snapshotter.remove("base");
  await expect(snapshotter.remove("base")).rejects.toMatchObject(notFound);
  expect(directories.filter((path) => existsSync(path))).toEqual([]);
});

// C-MS.15, U-MS.5
test("a snapshot without a parent gets one later, and keeps to it", async () => {
  using root = tempRoot();
  await using opened = await open(root.path);
  const { snapshotter, store } = opened;
  await commit(opened, "base");
  await commit(opened, "other");
  await snapshotter.prepare("key", undefined);
  await snapshotter.prepare("active", undefined);
  await expect(store.rebase("key", "nope")).rejects.toMatchObject(notFound);
  await expect(store.rebase("nope", "base")).rejects.toMatchObject(notFound);
  await expect(store.rebase("key", "active")).rejects.toMatchObject(failed);
  await expect(store.rebase("base", "other")).rejects.toMatchObject(failed);
  const { id } = await store.get("base");
  expect((await store.rebase("key", "base")).parentIds).toEqual([id]);
  expect((await store.rebase("key", "base")).parentIds).toEqual([id]);
  await expect(store.rebase("key", "other")).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  await snapshotter.commit("name", "key");
  expect((await snapshotter.stat("name")).parent).toBe("base");
});
