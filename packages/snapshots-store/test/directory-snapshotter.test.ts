import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { DirectorySnapshotter, Flusher, openSnapshotStore } from "@varve/snapshots-store";
import type { DirectoryBackend, SnapshotStore } from "@varve/snapshots-store";
import { expect, test } from "vitest";
import { tempRoot } from "./temp-root.ts";

async function makeFiles(directory: string): Promise<void> {
  mkdirSync(join(directory, "fs"));
}

function backend(store: SnapshotStore, flush: () => Promise<void>): DirectoryBackend {
  return {
    builder: () => makeFiles,
    mounts: ({ id }) => [{ type: "bind", source: store.directory(id), options: ["rw"] }],
    labels: () => ({}),
    flush,
  };
}

// D8, K11: visible only when it is on the disk
test("a commit is recorded after the flush, and not at all when that fails", async () => {
  using root = tempRoot();
  await using store = await openSnapshotStore({ root: root.path });
  const seen: unknown[] = [];
  const flush = async (): Promise<void> => {
    seen.push((await store.stat("key")).kind);
    if (seen.length === 1) throw Object.assign(new Error("write error"), { code: "EIO" });
  };
  const snapshotter = new DirectorySnapshotter(store, backend(store, flush));
  await snapshotter.prepare("key", undefined);
  await expect(snapshotter.commit("name", "key")).rejects.toMatchObject({ code: "EIO" });
  expect((await snapshotter.stat("key")).kind).toBe("active");
  await snapshotter.prepare("other", undefined);
  await snapshotter.commit("name", "other");
  expect(seen).toEqual(["active", "active"]);
});

// F06: promise 10
test("a flush that fails says of which snapshot, where and why", async () => {
  using root = tempRoot();
  await using store = await openSnapshotStore({ root: root.path });
  const cause = Object.assign(new Error("EIO: i/o error, syncfs"), { code: "EIO", errno: -5, syscall: "syncfs" });
  const flusher = new Flusher(root.path, () => Promise.reject(cause));
  const snapshotter = new DirectorySnapshotter(
    store,
    backend(store, () => flusher.flush()),
  );
  await snapshotter.prepare("key", undefined);
  const error: unknown = await snapshotter.commit("name", "key").catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: "EIO", errno: -5, syscall: "syncfs", path: root.path });
  expect(String(error)).toBe(
    `Error: snapshot key: cannot be written to the disk: directory ${root.path}: EIO: i/o error, syncfs`,
  );
  expect(error instanceof Error && error.cause instanceof Error && error.cause.cause).toBe(cause);
});

function noMounts(): never {
  throw new Error("no way to say");
}

test("a snapshot whose mounts cannot be told is not there", async () => {
  using root = tempRoot();
  await using store = await openSnapshotStore({ root: root.path });
  const snapshotter = new DirectorySnapshotter(store, { ...backend(store, async () => undefined), mounts: noMounts });
  await expect(snapshotter.prepare("key", undefined)).rejects.toThrow("no way to say");
  await expect(snapshotter.stat("key")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
});

test("the usage of a snapshot that is removed meanwhile is not found", async () => {
  using root = tempRoot();
  await using store = await openSnapshotStore({ root: root.path });
  const snapshotter = new DirectorySnapshotter(
    store,
    backend(store, () => store.remove("key")),
  );
  await snapshotter.prepare("key", undefined);
  await expect(snapshotter.commit("name", "key")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
});

test("who waits while a flush is running shares the next one", async () => {
  using root = tempRoot();
  const ends: (() => void)[] = [];
  const flusher = new Flusher(root.path, (fd) => {
    expect(fd).toBeGreaterThan(0);
    return new Promise((resolve) => ends.push(resolve));
  });
  const first = flusher.flush();
  await started(1);
  const others = [flusher.flush(), flusher.flush(), flusher.flush()];
  ends[0]?.();
  await first;
  await started(2);
  ends[1]?.();
  await Promise.all(others);
  expect(ends.length).toBe(2);

  async function started(count: number): Promise<void> {
    while (ends.length < count) await turn();
  }
});

test("a flush that fails fails for those who waited for it, and the next one is tried", async () => {
  using root = tempRoot();
  let tries = 0;
  const flusher = new Flusher(root.path, async () => {
    tries += 1;
    if (tries === 1) throw new Error("disk is gone");
  });
  const results = await Promise.allSettled([flusher.flush(), flusher.flush()]);
  expect(results.map((result) => result.status)).toEqual(["rejected", "rejected"]);
  await flusher.flush();
  expect(tries).toBe(2);
});
