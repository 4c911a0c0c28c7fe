import {
  chmodSync,
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  renameSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { openNativeSnapshotter } from "@varve/snapshots-native";
import * as sys from "@varve/syscalls";
import { expect, test } from "vitest";
import { copied, digest, facts, inodeOf, namesIn } from "./material.ts";
import { tempRoot } from "./temp-root.ts";

const root = process.geteuid?.() === 0;

test.skipIf(!root)("a copy has everything that its source has (needs root)", async () => {
  using base = tempRoot();
  await using snapshotter = await openNativeSnapshotter({ root: base.path, durability: "none" });
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
  await using snapshotter = await openNativeSnapshotter({ root: base.path, durability: "none" });
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
  await using snapshotter = await openNativeSnapshotter({ root: base.path, durability: "none" });
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
  await using snapshotter = await openNativeSnapshotter({ root: base.path, durability: "none" });
  await copied(snapshotter, (directory) => {
    const [inner, outer] = [join(directory, "deep"), join(directory, "outer")];
    mkdirSync(inner);
    writeFileSync(join(inner, "one"), "leaf");
    linkSync(join(inner, "one"), join(inner, "two"));
    for (let level = 1; level < 600; level += 1) {
      mkdirSync(outer);
      renameSync(inner, join(outer, "directory"));
      renameSync(outer, inner);
    }
  });
  expect(await snapshotter.usage("b")).toEqual(await snapshotter.usage("A"));
  expect((await snapshotter.usage("b")).inodes).toBe(602);
});

/** Enough for two threads: directories of files, each of which also has a name in every tenth directory from there. */
function fillShared(directory: string): string[] {
  const names: string[] = [];
  for (let index = 0; index < 60; index += 1) {
    mkdirSync(join(directory, `d${index}`));
    names.push(`d${index}`);
    for (let file = 0; file < 20; file += 1) {
      const path = join(directory, `d${index}/f${file}`);
      if (index < 10) writeFileSync(path, `contents ${index} ${file}`);
      else linkSync(join(directory, `d${index % 10}/f${file}`), path);
      names.push(`d${index}/f${file}`);
    }
  }
  const mtime = { seconds: 1_000_000_000, nanoseconds: 5 };
  for (const name of names.toReversed()) sys.utimensat(sys.AT_FDCWD, join(directory, name), { mtime }, 0);
  return names;
}

test("hard-link groups and directories' times are right when two threads meet in them", async () => {
  using base = tempRoot();
  await using snapshotter = await openNativeSnapshotter({ root: base.path, durability: "none" });
  let names: string[] = [];
  const [from] = await copied(snapshotter, (directory) => {
    names = fillShared(directory);
  });
  const want = names.map((name) => facts(from, name));
  for (let round = 0; round < 4; round += 1) {
    const [copy] = await snapshotter.prepare(`round ${round}`, "A");
    const to = copy?.source ?? "";
    expect(names.map((name) => facts(to, name))).toEqual(want);
    expect(new Set(names.map((name) => inodeOf(to, name))).size).toBe(60 + 10 * 20);
    // The name aside that each group has while it is copied is gone.
    expect(readdirSync(join(to, ".."))).toEqual(["fs"]);
  }
});

test("descriptors do not stay open after copies, whether they end well or not", async () => {
  using base = tempRoot();
  await using snapshotter = await openNativeSnapshotter({ root: base.path, durability: "none" });
  await copied(snapshotter, (directory) => {
    fillShared(directory);
  });
  const open = (): string[] => descriptors().filter((path) => path.startsWith(base.path));
  const before = open();
  for (let round = 0; round < 10; round += 1) {
    const controller = new AbortController();
    const outcome = Promise.allSettled([snapshotter.prepare(`round ${round}`, "A", { signal: controller.signal })]);
    await setTimeout(round);
    controller.abort(new Error("enough"));
    await outcome;
  }
  expect(open()).toEqual(before);
});

function descriptors(): string[] {
  const links = readdirSync("/proc/self/fd").map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      // The one that read the list.
      return "";
    }
  });
  return links.toSorted();
}

/** In the form of posix_acl_xattr_header: owner, group and user 7 may all, others nothing. */
const accessList = Buffer.from(
  ["02000000", "01000700ffffffff", "0200070007000000", "04000700ffffffff", "10000700ffffffff", "20000000ffffffff"].join(
    "",
  ),
  "hex",
);

function keepsAccessLists(): boolean {
  using base = tempRoot();
  return sys.tryLsetxattr(base.path, "system.posix_acl_default", accessList, 0) === 0;
}

test.skipIf(!keepsAccessLists())(
  "an access list that the root passes on gets into no copy (needs access lists)",
  async () => {
    using base = tempRoot();
    await using snapshotter = await openNativeSnapshotter({ root: base.path, durability: "none" });
    const names = ["", "directory", "directory/file"];
    const [from] = await copied(snapshotter, (directory) => {
      mkdirSync(join(directory, "directory"));
      writeFileSync(join(directory, "directory/file"), "");
      for (const name of names) chmodSync(join(directory, name), 0o755);
    });
    sys.lsetxattr(base.path, "system.posix_acl_default", accessList, 0);
    const [copy] = await snapshotter.prepare("c", "A");
    for (const name of names) expect([name, facts(copy?.source ?? "", name)]).toEqual([name, facts(from, name)]);
  },
);

test.skipIf(!keepsAccessLists())("the access lists of a layer are copied (needs access lists)", async () => {
  using base = tempRoot();
  await using snapshotter = await openNativeSnapshotter({ root: base.path, durability: "none" });
  const [from, to] = await copied(snapshotter, (directory) => {
    // For two threads: the one that comes later must not take away what the first has set on the root.
    fillShared(directory);
    writeFileSync(join(directory, "file"), "");
    for (const name of ["file", ""]) sys.lsetxattr(join(directory, name), "system.posix_acl_access", accessList, 0);
    sys.lsetxattr(directory, "system.posix_acl_default", accessList, 0);
  });
  for (const name of ["file", ""]) expect([name, facts(to, name)]).toEqual([name, facts(from, name)]);
  expect(sys.llistxattr(to)).toHaveLength(2);
});

test("modes are copied whatever the umask is, and when it changes", async () => {
  using base = tempRoot();
  await using snapshotter = await openNativeSnapshotter({ root: base.path, durability: "none" });
  const modes = [0o777, 0o666, 0o644, 0o600, 0o444, 0o000, 0o4755, 0o2070, 0o1007];
  const [from, to] = await copied(snapshotter, (directory) => {
    for (const mode of modes) {
      writeFileSync(join(directory, String(mode)), "");
      chmodSync(join(directory, String(mode)), mode);
    }
  });
  const modesIn = (directory: string): number[] => modes.map((mode) => statSync(join(directory, String(mode))).mode);
  expect(modesIn(to)).toEqual(modesIn(from));
  for (const umask of [0, 0o077, 0o177]) {
    const before = process.umask(umask);
    try {
      const [copy] = await snapshotter.prepare(`umask ${umask}`, "A");
      expect(modesIn(copy?.source ?? "")).toEqual(modesIn(from));
    } finally {
      process.umask(before);
    }
  }
});
