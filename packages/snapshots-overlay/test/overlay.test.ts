import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkOverlaySupport, openOverlaySnapshotter } from "@varve/snapshots-overlay";
import * as sys from "@varve/syscalls";
import { expect, test } from "vitest";
import { found } from "./found-options.ts";
import { tempRoot } from "./temp-root.ts";

const root = process.geteuid?.() === 0;

/** One overlay mount with these options and the common ones. */
function overlay(...options: string[]): unknown {
  return [{ type: "overlay", source: "overlay", options: [...options, ...found] }];
}

function modeOf(path: string): number {
  return statSync(path).mode & 0o7777;
}

// U-OVL.1
test("directories have their modes whatever the umask is, and a view has no work directory", async () => {
  using base = tempRoot();
  const umask = process.umask(0o077);
  try {
    await using snapshotter = await openOverlaySnapshotter({ root: base.path });
    await snapshotter.prepare("active", undefined);
    await snapshotter.view("view", undefined);
  } finally {
    process.umask(umask);
  }
  expect(modeOf(base.path)).toBe(0o700);
  expect(readdirSync(join(base.path, "1")).toSorted()).toEqual(["fs", "work"]);
  expect([modeOf(join(base.path, "1/fs")), modeOf(join(base.path, "1/work"))]).toEqual([0o755, 0o711]);
  expect(readdirSync(join(base.path, "2"))).toEqual(["fs"]);
});

// U-OVL.5, U-OVL.6, S2.14, S2.15
test("mounts are those of the containerd snapshotter", async () => {
  using base = tempRoot();
  await using snapshotter = await openOverlaySnapshotter({ root: base.path });
  const at = (path: string): string => join(base.path, path);
  expect(await snapshotter.prepare("a", undefined)).toEqual([
    { type: "bind", source: at("1/fs"), options: ["rw", "rbind"] },
  ]);
  await snapshotter.commit("A", "a");
  expect(await snapshotter.view("of-nothing", undefined)).toEqual([
    { type: "bind", source: at("2/fs"), options: ["ro", "rbind"] },
  ]);
  expect(await snapshotter.view("of-one", "A")).toEqual([
    { type: "bind", source: at("1/fs"), options: ["ro", "rbind"] },
  ]);
  expect(await snapshotter.prepare("b", "A")).toEqual(
    overlay(`workdir=${at("4/work")}`, `upperdir=${at("4/fs")}`, `lowerdir=${at("1/fs")}`),
  );
  await snapshotter.commit("B", "b");
  expect(await snapshotter.view("of-two", "B")).toEqual(overlay(`lowerdir=${at("4/fs")}:${at("1/fs")}`));
  expect(await snapshotter.prepare("c", "B")).toEqual(
    overlay(`workdir=${at("6/work")}`, `upperdir=${at("6/fs")}`, `lowerdir=${at("4/fs")}:${at("1/fs")}`),
  );
  await snapshotter.prepare("late", undefined);
  expect(await snapshotter.rebase("late", "B")).toEqual(
    overlay(`workdir=${at("7/work")}`, `upperdir=${at("7/fs")}`, `lowerdir=${at("4/fs")}:${at("1/fs")}`),
  );
});

// U-OVL.7
test("a commit leaves the directory where it is", async () => {
  using base = tempRoot();
  await using snapshotter = await openOverlaySnapshotter({ root: base.path });
  await snapshotter.prepare("a", undefined);
  writeFileSync(join(base.path, "1/fs/file"), "contents");
  const before = statSync(join(base.path, "1/fs"));
  await snapshotter.commit("A", "a");
  expect(statSync(join(base.path, "1/fs")).ino).toBe(before.ino);
  expect(readFileSync(join(base.path, "1/fs/file"), "utf8")).toBe("contents");
});

test("separators in the path of the root reach the kernel as part of the path", async () => {
  using base = tempRoot();
  const path = join(base.path, "a:b,c\\d");
  await using snapshotter = await openOverlaySnapshotter({ root: path });
  await snapshotter.prepare("a", undefined);
  await snapshotter.commit("A", "a");
  const [mount] = await snapshotter.prepare("b", "A");
  expect(mount?.options[2]).toBe(`lowerdir=${base.path}/a\\:b\\,c\\\\d/1/fs`);
});

test.skipIf(!root)("the kernel reads the escaped options as they were meant (needs root)", async () => {
  using base = tempRoot();
  await using snapshotter = await openOverlaySnapshotter({ root: join(base.path, "a:b,c\\d") });
  const [bind] = await snapshotter.prepare("a", undefined);
  writeFileSync(join(bind?.source ?? "", "lower"), "");
  await snapshotter.commit("A", "a");
  const [mount] = await snapshotter.prepare("b", "A");
  const target = join(base.path, "target");
  mkdirSync(target);
  sys.mount(target, { source: "overlay", type: "overlay", flags: 0, data: mount?.options.join(",") ?? "" });
  try {
    expect(readdirSync(target)).toEqual(["lower"]);
  } finally {
    sys.umount2(target, 0);
  }
});

// D3: what fills the directory knows whether the layer has an entry for its root, the snapshotter does not
test.skipIf(!root)("a late parent leaves the root of a snapshot as it is (needs root)", async () => {
  using base = tempRoot();
  await using snapshotter = await openOverlaySnapshotter({ root: base.path });
  await snapshotter.prepare("a", undefined);
  chmodSync(join(base.path, "1/fs"), 0o700);
  await snapshotter.commit("A", "a");
  await snapshotter.prepare("b", undefined);
  const before = sys.statx(sys.AT_FDCWD, join(base.path, "2/fs"), 0);
  await snapshotter.rebase("b", "A");
  expect(sys.statx(sys.AT_FDCWD, join(base.path, "2/fs"), 0)).toEqual(before);
});

test.skipIf(!root)("where overlays work a check of it leaves nothing behind (needs root)", async () => {
  using base = tempRoot();
  await checkOverlaySupport(join(base.path, "new"));
  expect(readdirSync(join(base.path, "new"))).toEqual([]);
});

test.skipIf(!root)("a root on an overlay is refused with the reason (needs root)", async () => {
  using base = tempRoot();
  for (const name of ["lower", "upper", "work", "merged"]) mkdirSync(join(base.path, name));
  const at = (name: string): string => join(base.path, name);
  const data = `lowerdir=${at("lower")},upperdir=${at("upper")},workdir=${at("work")}`;
  sys.mount(at("merged"), { source: "overlay", type: "overlay", flags: 0, data });
  try {
    await expect(checkOverlaySupport(join(base.path, "merged/root"))).rejects.toMatchObject({
      code: "ERR_NOT_IMPLEMENTED",
      message: expect.stringContaining("cannot be the upper layer"),
    });
  } finally {
    sys.umount2(at("merged"), 0);
  }
});

test.skipIf(!root)("without the right to mount the check says so (needs root, to give it up)", async () => {
  using base = tempRoot();
  chmodSync(base.path, 0o777);
  const script = `
    import { checkOverlaySupport } from "@varve/snapshots-overlay";
    import { isSupported } from "@varve/syscalls";
    // What is loaded now may stand in a directory that only root can enter.
    if (!isSupported()) throw new Error("no system calls");
    process.setgroups([]);
    process.setgid(65_534);
    process.setuid(65_534);
    const error = await checkOverlaySupport(${JSON.stringify(join(base.path, "root"))}).catch((caught) => caught);
    console.log(error?.code, error?.message);
  `;
  const output = execFileSync(process.execPath, ["--input-type=module", "--eval", script], {
    cwd: import.meta.dirname,
    encoding: "utf8",
  });
  expect(output).toMatch(/^ERR_NOT_IMPLEMENTED overlay snapshots in .*: not possible: /);
});
