import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { openNativeSnapshotter } from "@varve/snapshots-native";
import * as sys from "@varve/syscalls";
import { expect, test } from "vitest";
import { copied } from "./material.ts";
import { tempRoot } from "./temp-root.ts";

const root = process.geteuid?.() === 0;

// U-NAT.2, U-NAT.3
test("mounts are bind mounts, and a view of a committed snapshot copies nothing", async () => {
  using base = tempRoot();
  await using snapshotter = await openNativeSnapshotter({ root: base.path, durability: "none" });
  const files = (id: number): string => join(base.path, String(id), "fs");
  expect(await snapshotter.prepare("a", undefined)).toEqual([
    { type: "bind", source: files(1), options: ["rw", "rbind"] },
  ]);
  await snapshotter.commit("A", "a");
  expect(await snapshotter.view("view", "A")).toEqual([{ type: "bind", source: files(1), options: ["ro", "rbind"] }]);
  expect(existsSync(join(base.path, "2"))).toBe(false);
  expect(await snapshotter.prepare("b", "A")).toEqual([{ type: "bind", source: files(3), options: ["rw", "rbind"] }]);
  expect(readdirSync(join(base.path, "3"))).toEqual(["fs"]);
  expect(await snapshotter.view("of-nothing", undefined)).toEqual([
    { type: "bind", source: files(4), options: ["ro", "rbind"] },
  ]);
});

test.skipIf(!root)("what is mounted in the source is not copied but refused (needs root)", async () => {
  using base = tempRoot();
  await using snapshotter = await openNativeSnapshotter({ root: join(base.path, "root") });
  const [active] = await snapshotter.prepare("a", undefined);
  const point = join(active?.source ?? "", "volume");
  mkdirSync(point);
  await snapshotter.commit("A", "a");
  sys.mount(point, { source: "/etc", flags: sys.MS_BIND });
  try {
    await expect(snapshotter.prepare("b", "A")).rejects.toMatchObject({ code: "EXDEV" });
  } finally {
    sys.umount2(point, 0);
  }
  await snapshotter.prepare("b", "A");
});

// F12
test("a link in the place of the source is not followed", async () => {
  using base = tempRoot();
  await using snapshotter = await openNativeSnapshotter({ root: base.path, durability: "none" });
  const [active] = await snapshotter.prepare("a", undefined);
  await snapshotter.commit("A", "a");
  const source = active?.source ?? "";
  rmSync(source, { recursive: true });
  symlinkSync("/etc", source);
  await expect(snapshotter.prepare("b", "A")).rejects.toMatchObject({ code: "ERR_DATA_LOSS" });
  await expect(snapshotter.stat("b")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
});

// U-NAT.5
test("the usage of a copy is that of the whole tree", async () => {
  using base = tempRoot();
  await using snapshotter = await openNativeSnapshotter({ root: base.path, durability: "none" });
  await copied(snapshotter, (directory) => {
    writeFileSync(join(directory, "file"), Buffer.alloc(100_000, "contents"));
    linkSync(join(directory, "file"), join(directory, "link"));
  });
  await snapshotter.commit("B", "b");
  expect(await snapshotter.usage("B")).toEqual(await snapshotter.usage("A"));
  expect((await snapshotter.usage("B")).inodes).toBe(2);
});

// U-NAT.1 forces 0755; here a layer may say what its root is like
test("a copy has the mode of its parent's root, and an empty snapshot 0755", async () => {
  using base = tempRoot();
  await using snapshotter = await openNativeSnapshotter({ root: base.path, durability: "none" });
  const [from, to] = await copied(snapshotter, (directory) => chmodSync(directory, 0o1777));
  expect([from, to].map((path) => statSync(path).mode & 0o7777)).toEqual([0o1777, 0o1777]);
  const [empty] = await snapshotter.prepare("empty", undefined);
  expect(statSync(empty?.source ?? "").mode & 0o7777).toBe(0o755);
});
