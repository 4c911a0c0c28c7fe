import { chmodSync, chownSync, mkdirSync, readFileSync, readdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { overlayDirectories, withTemporaryMount } from "@varve/mount";
import type { Mount } from "@varve/mount";
import type { Snapshotter } from "@varve/snapshots";
import { openOverlaySnapshotter } from "@varve/snapshots-overlay";
import * as sys from "@varve/syscalls";
import { expect, test } from "vitest";
import { smallMounter } from "./small-mounter.ts";
import { tempRoot } from "./temp-root.ts";

const root = process.geteuid?.() === 0;

/** A layer with a secret, and one above it that hides the secret and leads elsewhere to it. */
async function commitPlanted(snapshotter: Snapshotter): Promise<void> {
  const [bottom] = await snapshotter.prepare("a", undefined);
  const below = bottom?.source ?? "";
  mkdirSync(join(below, "secret"));
  writeFileSync(join(below, "secret/data"), "of the layer below");
  mkdirSync(join(below, "directory"));
  writeFileSync(join(below, "directory/own"), "");
  await snapshotter.commit("A", "a");
  const [top] = await snapshotter.prepare("b", "A");
  const upper = (top === undefined ? undefined : overlayDirectories(top).upper) ?? "";
  const at = (name: string): string => join(upper, name);
  sys.mknodat(sys.AT_FDCWD, at("secret"), sys.S_IFCHR, sys.makedev(0, 0));
  mkdirSync(at("directory"));
  sys.lsetxattr(at("directory"), "trusted.overlay.redirect", Buffer.from("/secret"), 0);
  writeFileSync(at("file"), "");
  truncateSync(at("file"), 18);
  sys.lsetxattr(at("file"), "trusted.overlay.metacopy", Buffer.alloc(0), 0);
  sys.lsetxattr(at("file"), "trusted.overlay.redirect", Buffer.from("/secret/data"), 0);
  await snapshotter.commit("B", "b");
}

/** What is seen at the two places that were planted. */
function seen(mounts: readonly Mount[]): Promise<readonly string[]> {
  return withTemporaryMount(smallMounter, mounts, async (path) => [
    attempt(() => readdirSync(join(path, "directory")).toSorted().join()),
    attempt(() => readFileSync(join(path, "file"), "utf8")),
  ]);
}

function attempt(look: () => string): string {
  try {
    return look();
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : "failed";
  }
}

test.skipIf(!root)("a redirect and a metacopy that a layer planted are never followed (needs root)", async () => {
  using base = tempRoot();
  await using snapshotter = await openOverlaySnapshotter({ root: base.path, durability: "none" });
  await commitPlanted(snapshotter);
  expect(await seen(await snapshotter.view("view", "B"))).toEqual(["EPERM", "EPERM"]);
  expect(await seen(await snapshotter.prepare("active", "B"))).toEqual(["EPERM", "EPERM"]);
});

// So that the test above can tell: the same layers, and somebody who configured it.
test.skipIf(!root)("whoever configures it gets redirects and metacopies followed (needs root)", async () => {
  using base = tempRoot();
  const mountOptions = ["metacopy=on", "redirect_dir=on"];
  await using snapshotter = await openOverlaySnapshotter({ root: base.path, durability: "none", mountOptions });
  await commitPlanted(snapshotter);
  expect(await seen(await snapshotter.prepare("active", "B"))).toEqual(["data", "of the layer below"]);
});

// U-OVL.4
test.skipIf(!root)("the root of a child has all that the root of its parent has (needs root)", async () => {
  using base = tempRoot();
  await using snapshotter = await openOverlaySnapshotter({ root: base.path, durability: "none" });
  await snapshotter.prepare("a", undefined);
  const from = join(base.path, "1/fs");
  chownSync(from, 7, 8);
  chmodSync(from, 0o7777);
  const value = Buffer.from([0, 255, 10]);
  const large = Buffer.alloc(30_000, "large");
  sys.lsetxattr(from, "trusted.of-the-layer", value, 0);
  // No name at all to overlayfs.
  sys.lsetxattr(from, "user.overlayed", value, 0);
  sys.lsetxattr(from, "user.large", large.subarray(0, 2000), 0);
  const mtime = { seconds: 1_234_567_890, nanoseconds: 123_456_789 };
  sys.utimensat(sys.AT_FDCWD, from, { mtime }, 0);
  await snapshotter.commit("A", "a");
  await snapshotter.prepare("b", "A");
  const to = join(base.path, "2/fs");
  const stat = sys.statx(sys.AT_FDCWD, to, 0);
  expect([stat.uid, stat.gid, stat.mode & 0o7777, stat.mtime]).toEqual([7, 8, 0o7777, mtime]);
  for (const name of ["trusted.of-the-layer", "user.overlayed"]) expect(sys.lgetxattr(to, name)).toEqual(value);
  expect(sys.lgetxattr(to, "user.large")).toEqual(large.subarray(0, 2000));
});

// U-OVL.4: they are about the directory that has them, or say that they are
test.skipIf(!root)("what overlayfs reads of a root stays with the layer that has it (needs root)", async () => {
  using base = tempRoot();
  await using snapshotter = await openOverlaySnapshotter({ root: base.path, durability: "none" });
  const [bind] = await snapshotter.prepare("a", undefined);
  const from = bind?.source ?? "";
  mkdirSync(join(from, "below"));
  const planted = [
    "opaque",
    "redirect",
    "metacopy",
    "origin",
    "impure",
    "nlink",
    "upper",
    "uuid",
    "protattr",
    "xwhiteouts",
  ];
  for (const name of planted) {
    for (const prefix of ["trusted", "user"]) sys.lsetxattr(from, `${prefix}.overlay.${name}`, Buffer.from("y"), 0);
  }
  await snapshotter.commit("A", "a");
  const mounts = await snapshotter.prepare("b", "A");
  expect(sys.llistxattr(join(base.path, "2/fs")).map(String)).toEqual([]);
  await withTemporaryMount(smallMounter, mounts, async (path) => {
    expect(readdirSync(path)).toEqual(["below"]);
  });
});
