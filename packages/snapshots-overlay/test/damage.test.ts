import { existsSync, mkdirSync, readdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Snapshotter } from "@varve/snapshots";
import { openOverlaySnapshotter } from "@varve/snapshots-overlay";
import { expect, test } from "vitest";
import { tempRoot } from "./temp-root.ts";

// F12: somebody else took a directory away, or put a link that leads out in its place.

interface Scene extends AsyncDisposable {
  readonly snapshotter: Snapshotter;
  /** Of the snapshotter: 1 is of the committed snapshot A, 2 of the active b on it. */
  readonly root: string;
  /** A directory outside, with directories of the same names, that has to stay as it is. */
  readonly canary: string;
}

async function scene(): Promise<Scene> {
  const base = tempRoot();
  const [root, canary] = [join(base.path, "root"), join(base.path, "canary")];
  for (const name of ["fs", "work/work"]) {
    mkdirSync(join(canary, name), { recursive: true });
    writeFileSync(join(canary, name, "file"), "");
  }
  const snapshotter = await openOverlaySnapshotter({ root, durability: "none" });
  await snapshotter.prepare("a", undefined);
  await snapshotter.commit("A", "a");
  await snapshotter.prepare("b", "A");
  const dispose = async (): Promise<void> => {
    await snapshotter.close();
    base[Symbol.dispose]();
  };
  return { snapshotter, root, canary, [Symbol.asyncDispose]: dispose };
}

function swap({ root, canary }: Scene, place: string, how: string): void {
  renameSync(join(root, place), join(root, "moved"));
  const name = place.split("/")[1] ?? "";
  if (how === "replaced by a link") symlinkSync(join(canary, name), join(root, place));
  if (how === "replaced by a file") writeFileSync(join(root, place), "");
}

function expectUntouched({ canary }: Scene): void {
  const found = new Set(readdirSync(canary, { recursive: true, encoding: "utf8" }));
  expect(found).toEqual(new Set(["fs", "fs/file", "work", "work/work", "work/work/file"]));
}

type Call = (snapshotter: Snapshotter) => Promise<unknown>;
const mountsOf: Call = (snapshotter) => snapshotter.mounts("b");
const onParent: readonly Call[] = [
  mountsOf,
  (snapshotter) => snapshotter.prepare("c", "A"),
  (snapshotter) => snapshotter.view("c", "A"),
];
const onActive: readonly Call[] = [
  mountsOf,
  (snapshotter) => snapshotter.commit("B", "b"),
  (snapshotter) => snapshotter.usage("b"),
];
/** Which calls need the directory. */
const needs = { "1": onParent, "1/fs": onParent, "2": onActive, "2/fs": onActive, "2/work": [mountsOf] };

const cases = Object.entries(needs).flatMap(([place, calls]) =>
  ["gone", "replaced by a link", "replaced by a file"].map((how) => ({ place, how, calls })),
);

test.each(cases)("directory $place, $how, is told, and nothing outside is touched", async ({ place, how, calls }) => {
  await using set = await scene();
  const { snapshotter, root } = set;
  swap(set, place, how);
  const lost = { code: "ERR_DATA_LOSS", message: expect.stringContaining(join(root, place)) };
  for (const call of calls) await expect(call(snapshotter)).rejects.toMatchObject(lost);
  await expect(snapshotter.stat("c")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  await snapshotter.remove("b");
  await snapshotter.remove("A");
  expectUntouched(set);
  expect(["1", "2"].filter((id) => existsSync(join(root, id)))).toEqual([]);
});

test("a work directory that is gone does not keep an active snapshot from being committed", async () => {
  await using set = await scene();
  swap(set, "2/work", "gone");
  await set.snapshotter.commit("B", "b");
  expect((await set.snapshotter.view("view", "B"))[0]?.type).toBe("overlay");
});
