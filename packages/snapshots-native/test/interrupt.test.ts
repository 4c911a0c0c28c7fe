import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Snapshotter } from "@varve/snapshots";
import { openNativeSnapshotter } from "@varve/snapshots-native";
import { expect, test } from "vitest";
import { copied } from "./material.ts";
import { tempRoot } from "./temp-root.ts";

/** Commits a file that is all hole, and so large that no copy of it ends while a test runs. */
async function commitEndless(snapshotter: Snapshotter): Promise<void> {
  await copied(snapshotter, (directory) => writeFileSync(join(directory, "file"), "contents"));
  const [active] = await snapshotter.prepare("endless-key", undefined);
  const path = join(active?.source ?? "", "hole");
  writeFileSync(path, "");
  truncateSync(path, 4e12);
  await snapshotter.commit("endless", "endless-key");
}

/** Whether files can be shared here, so that no copy takes long. */
function canShare(): boolean {
  using base = tempRoot();
  const [from, to] = [join(base.path, "file"), join(base.path, "copy")];
  writeFileSync(from, "contents");
  return spawnSync("cp", ["--reflink=always", from, to]).status === 0;
}

/** Waits until the file of a snapshot that is not there yet is being written. */
async function copyingBegins(directory: string): Promise<void> {
  const begun = (name: string): boolean => name.startsWith("new-") && existsSync(join(directory, name, "fs/hole"));
  while (!readdirSync(directory).some(begun)) await sleep(1);
}

test.skipIf(canShare())("an abort stops a copy and leaves nothing of it (needs slow copies)", async () => {
  using base = tempRoot();
  await using snapshotter = await openNativeSnapshotter({ root: base.path, durability: "none" });
  await commitEndless(snapshotter);
  const reason = new Error("enough");
  const controller = new AbortController();
  const { signal } = controller;
  // One is being copied, the other waits for its turn.
  const calls = Promise.allSettled(["c", "d"].map((key) => snapshotter.prepare(key, "endless", { signal })));
  await copyingBegins(base.path);
  controller.abort(reason);
  expect(await calls).toEqual([
    { status: "rejected", reason },
    { status: "rejected", reason },
  ]);
  expect(readdirSync(base.path).filter((name) => name.startsWith("new-"))).toEqual([]);
  const [mount] = await snapshotter.prepare("c", "A");
  expect(readdirSync(mount?.source ?? "")).toEqual(["file"]);
});

test.skipIf(canShare())("closing stops a copy that is under way (needs slow copies)", async () => {
  using base = tempRoot();
  const snapshotter = await openNativeSnapshotter({ root: base.path, durability: "none" });
  await commitEndless(snapshotter);
  const outcome = Promise.allSettled([snapshotter.prepare("c", "endless")]);
  await copyingBegins(base.path);
  await snapshotter.close();
  expect(await outcome).toMatchObject([{ status: "rejected", reason: { code: expect.stringMatching(/^ERR_/) } }]);
  await using again = await openNativeSnapshotter({ root: base.path, durability: "none" });
  await expect(again.stat("c")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  expect(readdirSync(base.path).filter((name) => name.startsWith("new-"))).toEqual([]);
});
