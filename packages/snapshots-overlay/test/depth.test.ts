import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { overlayDirectories, withTemporaryMount } from "@varve/mount";
import type { Rebaser, Snapshotter } from "@varve/snapshots";
import { openOverlaySnapshotter } from "@varve/snapshots-overlay";
import { expect, test } from "vitest";
import { smallMounter } from "./small-mounter.ts";
import { tempRoot } from "./temp-root.ts";

const root = process.geteuid?.() === 0;
const most = 500;

/** A chain of committed snapshots, `1` to `length`: each with a file of its name, and its name in the file `top`. */
async function commitChain(snapshotter: Snapshotter, length: number): Promise<void> {
  for (let index = 1; index <= length; index += 1) {
    const [mount] = await snapshotter.prepare("key", index === 1 ? undefined : String(index - 1));
    if (mount === undefined) throw new Error("no mount");
    const directory = mount.type === "bind" ? mount.source : (overlayDirectories(mount).upper ?? "");
    for (const name of [String(index), "top"]) writeFileSync(join(directory, name), String(index));
    await snapshotter.commit(String(index), "key");
  }
}

// C09
test.skipIf(!root)("500 layers are mounted and read right, and 501 are refused beforehand (needs root)", async () => {
  using base = tempRoot();
  await using snapshotter = await openOverlaySnapshotter({ root: base.path, durability: "none" });
  await commitChain(snapshotter, most + 1);
  const lists = [await snapshotter.prepare("active", String(most)), await snapshotter.view("view", String(most))];
  for (const mounts of lists) {
    await withTemporaryMount(smallMounter, mounts, async (path) => {
      expect(readFileSync(join(path, "top"), "utf8")).toBe(String(most));
      expect(readdirSync(path)).toHaveLength(most + 1);
      for (const name of ["1", "250", "500"]) expect(readFileSync(join(path, name), "utf8")).toBe(name);
    });
  }
  await expectTooMany(snapshotter, String(most + 1));
});

async function expectTooMany(snapshotter: Snapshotter & Rebaser, parent: string): Promise<void> {
  const message = "stands on 501 layers, and an overlay takes 500 at most";
  const tooMany = { code: "ERR_NOT_IMPLEMENTED", message: expect.stringContaining(message) };
  await expect(snapshotter.prepare("more", parent)).rejects.toMatchObject(tooMany);
  await expect(snapshotter.view("more", parent)).rejects.toMatchObject(tooMany);
  await expect(snapshotter.stat("more")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  await snapshotter.prepare("late", undefined);
  await expect(snapshotter.rebase("late", parent)).rejects.toMatchObject(tooMany);
  expect((await snapshotter.stat("late")).parent).toBe(undefined);
}
