import { execFileSync, spawnSync } from "node:child_process";
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
  openSync,
  closeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Snapshotter } from "@varve/snapshots";
import { openNativeSnapshotter } from "@varve/snapshots-native";
import * as sys from "@varve/syscalls";
import { expect, test } from "vitest";

const root = process.geteuid?.() === 0;

function tempRoot(): { readonly path: string } & Disposable {
  const path = realpathSync(mkdtempSync(join(tmpdir(), "varve-native-")));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** Commits what `fill` makes as A, prepares b on it, and tells where the files of both are. */
async function copied(
  snapshotter: Snapshotter,
  fill: (directory: string) => void,
): Promise<readonly [from: string, to: string]> {
  const [active] = await snapshotter.prepare("a", undefined);
  const from = active?.source ?? "";
  fill(from);
  await snapshotter.commit("A", "a");
  const [copy] = await snapshotter.prepare("b", "A");
  return [from, copy?.source ?? ""];
}

/** All that a name has, but for the times that reading and copying themselves change. */
function facts(directory: string, name: string | Buffer): unknown {
  const path = Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(name)]);
  const { mode, uid, gid, nlink, rdev, size, mtime } = sys.statx(sys.AT_FDCWD, path, sys.AT_SYMLINK_NOFOLLOW);
  const attributes = sys.llistxattr(path).map((key) => [key.toString(), sys.lgetxattr(path, key).toString("hex")]);
  const isDirectory = (mode & sys.S_IFMT) === sys.S_IFDIR;
  return { mode, uid, gid, nlink, rdev, mtime, attributes, size: isDirectory ? 0 : size };
}

function inodeOf(directory: string, name: string): bigint {
  return sys.statx(sys.AT_FDCWD, join(directory, name), sys.AT_SYMLINK_NOFOLLOW).ino;
}

/** All names in hexadecimal, in order. */
function namesIn(directory: string): string[] {
  return readdirSync(directory, { encoding: "buffer" })
    .map((name) => name.toString("hex"))
    .toSorted();
}

function digest(path: string): string {
  return execFileSync("sha256sum", ["--", path], { encoding: "utf8" }).slice(0, 64);
}

// U-NAT.2, U-NAT.3
test("mounts are bind mounts, and a view of a committed snapshot copies nothing", async () => {
  using base = tempRoot();
  await using snapshotter = await openNativeSnapshotter({ root: base.path });
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

test.skipIf(!root)("a copy has everything that its source has (needs root)", async () => {
  using base = tempRoot();
  await using snapshotter = await openNativeSnapshotter({ root: base.path });
  const odd = Buffer.from([0x66, 0xff, 0x0a, 0x80]);
  const names = ["", "directory", "directory/empty", "program", "link", "dangling", "fifo", "null", "whiteout", "disk"];
  const [from, to] = await copied(snapshotter, (directory) => {
    const at = (name: string): string => join(directory, name);
    mkdirSync(at("directory/empty"), { recursive: true });
    writeFileSync(at("program"), "#!/bin/sh\n");
    symlinkSync("program", at("link"));
    symlinkSync("/nowhere", at("dangling"));
    sys.mknodat(sys.AT_FDCWD, at("fifo"), sys.S_IFIFO | 0o640, 0);
    sys.mknodat(sys.AT_FDCWD, at("null"), sys.S_IFCHR | 0o666, sys.makedev(1, 3));
    sys.mknodat(sys.AT_FDCWD, at("whiteout"), sys.S_IFCHR, sys.makedev(0, 0));
    sys.mknodat(sys.AT_FDCWD, at("disk"), sys.S_IFBLK | 0o600, sys.makedev(259, 0xf_fff1));
    writeFileSync(Buffer.concat([Buffer.from(`${directory}/`), odd]), "odd");
    for (const name of ["program", "directory", "link", "null"]) {
      sys.fchownat(sys.AT_FDCWD, at(name), 3_000_000, 4_000_000, sys.AT_SYMLINK_NOFOLLOW);
    }
    sys.fchmodat(sys.AT_FDCWD, at("program"), 0o6755, 0);
    sys.fchmodat(sys.AT_FDCWD, at("directory"), 0o3000, 0);
    sys.fchmodat(sys.AT_FDCWD, directory, 0o1777, 0);
    const capability = Buffer.from("0100000200200000000000000000000000000000", "hex");
    sys.lsetxattr(at("program"), "security.capability", capability, 0);
    sys.lsetxattr(at("directory"), "user.binary", Buffer.from([0, 255, 0]), 0);
    sys.lsetxattr(at("link"), "trusted.on-a-link", Buffer.from("x"), 0);
    sys.lsetxattr(directory, "trusted.overlay.opaque", Buffer.from("y"), 0);
    const mtime = { seconds: -12_345_678, nanoseconds: 987_654_321 };
    for (const name of names.toReversed()) sys.utimensat(sys.AT_FDCWD, at(name), { mtime }, sys.AT_SYMLINK_NOFOLLOW);
  });
  for (const name of [...names, odd]) expect([name, facts(to, name)]).toEqual([name, facts(from, name)]);
  expect(namesIn(to)).toEqual(namesIn(from));
  expect(sys.readlinkat(sys.AT_FDCWD, join(to, "dangling")).toString()).toBe("/nowhere");
  expect(digest(join(to, "program"))).toBe(digest(join(from, "program")));
});

test("hard-link groups of files and links stay together, in any directory", async () => {
  using base = tempRoot();
  await using snapshotter = await openNativeSnapshotter({ root: base.path });
  const groups = [
    ["file", "second", "below/third"],
    ["link", "below/link"],
  ];
  const [from, to] = await copied(snapshotter, (directory) => {
    mkdirSync(join(directory, "below"));
    writeFileSync(join(directory, "file"), "contents");
    symlinkSync("nowhere", join(directory, "link"));
    for (const [first = "", ...others] of groups) {
      for (const other of others) linkSync(join(directory, first), join(directory, other));
    }
    // One of this group is outside of what is copied.
    writeFileSync(join(directory, "half"), "");
    linkSync(join(directory, "half"), join(base.path, "outside"));
  });
  for (const group of groups) {
    expect(new Set(group.map((name) => inodeOf(to, name))).size).toBe(1);
    expect(inodeOf(to, group[0] ?? "")).not.toBe(inodeOf(from, group[0] ?? ""));
  }
  expect(statSync(join(to, "half")).nlink).toBe(1);
});

test("holes stay holes, and what is between them stays", async () => {
  using base = tempRoot();
  await using snapshotter = await openNativeSnapshotter({ root: base.path });
  const [from, to] = await copied(snapshotter, (directory) => {
    const fd = openSync(join(directory, "sparse"), "wx");
    for (const position of [0, 5_000_000, 9_999_990]) writeSync(fd, "island", position);
    closeSync(fd);
    truncateSync(join(directory, "sparse"), 20_000_001);
    writeFileSync(join(directory, "zeros"), Buffer.alloc(1_000_000));
    writeFileSync(join(directory, "dense"), Buffer.alloc(3_000_001, "dense"));
  });
  for (const name of ["sparse", "zeros", "dense"]) expect(digest(join(to, name))).toBe(digest(join(from, name)));
  expect(statSync(join(to, "sparse")).blocks * 512).toBeLessThan(2_000_000);
});

test("a tree deeper than a path can be long is copied", async () => {
  using base = tempRoot();
  await using snapshotter = await openNativeSnapshotter({ root: base.path });
  await copied(snapshotter, (directory) => {
    const [inner, outer] = [join(directory, "deep"), join(directory, "outer")];
    mkdirSync(inner);
    writeFileSync(join(inner, "one"), "leaf");
    linkSync(join(inner, "one"), join(inner, "two"));
    for (let level = 1; level < 2100; level += 1) {
      mkdirSync(outer);
      renameSync(inner, join(outer, "directory"));
      renameSync(outer, inner);
    }
  });
  expect(await snapshotter.usage("b")).toEqual(await snapshotter.usage("A"));
  expect((await snapshotter.usage("b")).inodes).toBe(2102);
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
  await using snapshotter = await openNativeSnapshotter({ root: base.path });
  const [active] = await snapshotter.prepare("a", undefined);
  await snapshotter.commit("A", "a");
  const source = active?.source ?? "";
  rmSync(source, { recursive: true });
  symlinkSync("/etc", source);
  await expect(snapshotter.prepare("b", "A")).rejects.toMatchObject({ code: expect.stringMatching(/ELOOP|ENOTDIR/) });
  await expect(snapshotter.stat("b")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
});

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
  await using snapshotter = await openNativeSnapshotter({ root: base.path });
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
  const snapshotter = await openNativeSnapshotter({ root: base.path });
  await commitEndless(snapshotter);
  const outcome = Promise.allSettled([snapshotter.prepare("c", "endless")]);
  await copyingBegins(base.path);
  await snapshotter.close();
  expect(await outcome).toMatchObject([{ status: "rejected", reason: { code: expect.stringMatching(/^ERR_/) } }]);
  await using again = await openNativeSnapshotter({ root: base.path });
  await expect(again.stat("c")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  expect(readdirSync(base.path).filter((name) => name.startsWith("new-"))).toEqual([]);
});

test.skipIf(!root)(
  "without ownership devices are left out and all belongs to the process (needs root, to make them)",
  async () => {
    using base = tempRoot();
    await using snapshotter = await openNativeSnapshotter({ root: base.path, ownership: "skip" });
    const [, to] = await copied(snapshotter, (directory) => {
      writeFileSync(join(directory, "file"), "");
      sys.fchownat(sys.AT_FDCWD, join(directory, "file"), 7, 8, 0);
      sys.mknodat(sys.AT_FDCWD, join(directory, "null"), sys.S_IFCHR | 0o666, sys.makedev(1, 3));
      sys.mknodat(sys.AT_FDCWD, join(directory, "fifo"), sys.S_IFIFO | 0o666, 0);
    });
    expect(readdirSync(to).toSorted()).toEqual(["fifo", "file"]);
    expect(statSync(join(to, "file")).uid).toBe(0);
  },
);

test.skipIf(!root)(
  "a process without privileges can use it for its own files (needs root, to give it up)",
  async () => {
    using base = tempRoot();
    sys.fchownat(sys.AT_FDCWD, base.path, 65_534, 65_534, 0);
    const script = `
    import { mkdirSync, readdirSync, writeFileSync, chmodSync } from "node:fs";
    import { openNativeSnapshotter } from "@varve/snapshots-native";
    const snapshotter = await openNativeSnapshotter({ root: ${JSON.stringify(join(base.path, "root"))} });
    const [{ source }] = await snapshotter.prepare("a", undefined);
    mkdirSync(source + "/closed/below", { recursive: true });
    writeFileSync(source + "/closed/file", "");
    chmodSync(source + "/closed/below", 0o500);
    chmodSync(source + "/closed", 0o500);
    await snapshotter.commit("A", "a");
    const [copy] = await snapshotter.prepare("b", "A");
    console.log(readdirSync(copy.source + "/closed").join());
    await snapshotter.remove("b");
    await snapshotter.remove("A");
    await snapshotter.close();
    console.log(readdirSync(${JSON.stringify(join(base.path, "root"))}).join());
  `;
    // The workspace may stand in a directory that only root can enter: it is shown where everybody can.
    const workspace = join(import.meta.dirname, "../../..");
    const shown = join(base.path, "workspace");
    const inShown = (path: string): string => path.replace(workspace, shown);
    mkdirSync(shown);
    sys.mount(shown, { source: workspace, flags: sys.MS_BIND });
    try {
      const output = execFileSync(inShown(process.execPath), ["--input-type=module", "--eval", script], {
        cwd: inShown(import.meta.dirname),
        encoding: "utf8",
        uid: 65_534,
        gid: 65_534,
      });
      expect(output).toBe("below,file\nmetadata.db,metadata.db-reserve\n");
    } finally {
      sys.umount2(shown, 0);
    }
  },
);

function commandExists(name: string): boolean {
  return ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].some((directory) => existsSync(join(directory, name)));
}

test.skipIf(!root || !commandExists("mkfs.xfs"))(
  "files are shared where the filesystem can (needs root and mkfs.xfs)",
  async () => {
    using base = tempRoot();
    const [image, target] = [join(base.path, "image"), join(base.path, "target")];
    writeFileSync(image, "");
    truncateSync(image, 320 << 20);
    mkdirSync(target);
    execFileSync("mkfs.xfs", ["-q", "-m", "reflink=1", image]);
    execFileSync("mount", ["-o", "loop", image, target]);
    try {
      await using snapshotter = await openNativeSnapshotter({ root: join(target, "root") });
      let free = 0;
      const size = 32 << 20;
      const [from, to] = await copied(snapshotter, (directory) => {
        writeFileSync(join(directory, "file"), Buffer.alloc(size, "contents"), { flush: true });
        free = statfsSync(target).bavail;
      });
      execFileSync("sync", ["-f", target]);
      const { bavail, bsize } = statfsSync(target);
      expect((free - bavail) * bsize).toBeLessThan(size / 2);
      expect(digest(join(to, "file"))).toBe(digest(join(from, "file")));
    } finally {
      execFileSync("umount", [target]);
    }
  },
);
