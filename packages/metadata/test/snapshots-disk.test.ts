import type * as fs from "node:fs";
import { join } from "node:path";
import { openMetadata } from "@varve/metadata";
import { afterEach, expect, test, vi } from "vitest";
import { backends } from "./snapshot-store.ts";
import { FakeSnapshotter } from "./fake-snapshotter.ts";
import { StoredContent } from "./stored-content.ts";
import { list, tempDir } from "./temp.ts";

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

// C04, D8
test("a commit whose record does not get to the disk is told, takes no name, and can be made again", async () => {
  await using temp = await tempDir();
  const backend = new FakeSnapshotter();
  const path = join(temp.path, "metadata.db");
  await using metadata = await openMetadata({ path, content: new StoredContent(), snapshotters: backends(backend) });
  const snapshotter = await metadata.namespace("default").snapshotter("fake");
  await snapshotter.prepare("key", undefined);
  disk.fails = true;
  await expect(snapshotter.commit("name", "key")).rejects.toMatchObject({ code: "EIO" });
  disk.fails = false;
  const seen = (await list(snapshotter.walk())).map(({ name, kind }) => ({ name, kind }));
  expect(seen).toEqual([{ name: "key", kind: "active" }]);
  expect([...backend.entries.values()].map(({ kind }) => kind)).toEqual(["active"]);
  await snapshotter.commit("name", "key");
  await expect(snapshotter.stat("name")).resolves.toMatchObject({ kind: "committed" });
  await expect(snapshotter.commit("name", "key")).rejects.toMatchObject({ code: "ERR_ALREADY_EXISTS" });
});
