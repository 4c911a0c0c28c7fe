import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  closeSync,
  ftruncateSync,
  linkSync,
  lutimesSync,
  openSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { packLayer, type TarEntry } from "@varve/archive";
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  lsetxattr,
  makedev,
  mkdirat,
  mknodat,
  openat2,
  close,
  O_DIRECTORY,
  O_RDONLY,
  S_IFCHR,
  S_IFIFO,
  utimensat,
} from "@varve/syscalls";
import { describe, expect, test } from "vitest";
import { copyTree, entriesOf, linesOf, pack } from "./pack.ts";
import { directory, file, Pair, quietly, sample } from "./pair.ts";
import { isRoot, openDescriptors, Sandbox } from "./sandbox.ts";
import { readTree } from "./tree.ts";

const time = (entry: TarEntry | undefined): number | undefined => entry?.mtime.seconds;

describe("two trees", () => {
  // C-TAR.52
  test("that are the same give a layer without entries", () => {
    using trees = new Pair(sample);
    const { layer, summary } = pack(trees);
    expect(layer).toEqual(Buffer.alloc(1024));
    expect(summary).toEqual({ entries: 0, bytes: 1024, skipped: { sockets: 0 } });
  });

  test("of which the lower one is missing give everything, the root too, in the order of the names' bytes", () => {
    using box = new Sandbox();
    const upper = box.directory();
    for (const name of ["b", "a", "\u00e9", "B", "a.b", "ab"]) file(join(upper, name));
    directory(join(upper, "a-dir"), () => file(join(upper, "a-dir/z")));
    expect(entriesOf({ upper }).map(({ name }) => name.toString())).toEqual([
      "./",
      "B",
      "a",
      "a-dir/",
      "a-dir/z",
      "a.b",
      "ab",
      "b",
      "\u00e9",
    ]);
  });

  // C-TAR.53, U-TAR.23
  test("give the unchanged directories above a change, once and before it", () => {
    using trees = new Pair(sample);
    quietly(join(trees.upper, "d1"), () => {
      file(join(trees.upper, "d1/f0"));
      file(join(trees.upper, "d1/f1"), "changed");
    });
    chmodSync(join(trees.upper, "d1"), 0o755);
    expect(trees.lines()).toEqual(["directory d1/", "file d1/f0", "file d1/f1"]);
  });

  // C-TAR.55
  test("give a directory whose mode changed once, also when something in it changed", () => {
    using trees = new Pair(sample);
    chmodSync(join(trees.upper, "d1"), 0o700);
    chmodSync(join(trees.upper, "d2"), 0o711);
    quietly(join(trees.upper, "d2"), () => file(join(trees.upper, "d2/f1"), "other"));
    expect(entriesOf(trees).map(({ name, mode }) => `${name.toString()} ${mode.toString(8)}`)).toEqual([
      "d1/ 700",
      "d2/ 711",
      "d2/f1 644",
    ]);
  });

  test("give the root when it differs itself", () => {
    using trees = new Pair(sample);
    chmodSync(trees.upper, 0o700);
    expect(trees.lines()).toEqual(["directory ./"]);
  });

  // C-TAR.57
  test("give a directory before the whiteouts in it, and those in the order of what they hide", () => {
    using trees = new Pair(sample);
    quietly(join(trees.upper, "d1"), () => {
      unlinkSync(join(trees.upper, "d1/f1"));
      file(join(trees.upper, "d1/f0"));
      file(join(trees.upper, "d1/f3"));
    });
    quietly(trees.upper, () => unlinkSync(join(trees.upper, "f")));
    expect(trees.lines()).toEqual(["directory d1/", "file d1/f0", "file d1/.wh.f1", "file d1/f3", "file .wh.f"]);
  });

  // C-TAR.58
  test("give one whiteout for a directory that is gone with all that was in it", () => {
    using trees = new Pair(sample);
    quietly(trees.upper, () => rmSync(join(trees.upper, "d1"), { recursive: true }));
    expect(trees.lines()).toEqual(["file .wh.d1"]);
  });

  test("give one marker for a directory that lost all it had, right after the directory", () => {
    using trees = new Pair((root) => {
      sample(root);
      directory(join(root, "d1/sub"), () => file(join(root, "d1/sub/f")));
      utimesSync(join(root, "d1"), 1, 1);
    });
    quietly(join(trees.upper, "d1"), () => {
      for (const name of ["f1", "f2", "sub"]) rmSync(join(trees.upper, "d1", name), { recursive: true });
      file(join(trees.upper, "d1/a"));
      directory(join(trees.upper, "d1/f2"));
    });
    expect(trees.lines()).toEqual(["directory d1/", "file d1/.wh..wh..opq", "file d1/a", "directory d1/f2/"]);
  });

  test("give whiteouts and no marker where a name stays, where only one is gone, and in the root", () => {
    using trees = new Pair((root) => {
      sample(root);
      file(join(root, "d1/f3"));
      utimesSync(join(root, "d1"), 1, 1);
    });
    quietly(join(trees.upper, "d1"), () => {
      unlinkSync(join(trees.upper, "d1/f1"));
      unlinkSync(join(trees.upper, "d1/f2"));
    });
    quietly(join(trees.upper, "d2"), () => unlinkSync(join(trees.upper, "d2/f1")));
    for (const root of [trees.lower, trees.upper]) {
      directory(join(root, "e"), () => {
        if (root === trees.lower) file(join(root, "e/gone"));
        if (root === trees.lower) file(join(root, "e/type"));
        else directory(join(root, "e/type"));
      });
      utimesSync(root, 1, 1);
    }
    expect(trees.lines()).toEqual([
      "directory d1/",
      "file d1/.wh.f1",
      "file d1/.wh.f2",
      "directory d2/",
      "file d2/.wh.f1",
      "directory e/",
      "file e/.wh.gone",
      "directory e/type/",
    ]);
    for (const name of ["d1", "d2", "e", "f"]) rmSync(join(trees.upper, name), { recursive: true });
    utimesSync(trees.upper, 1, 1);
    expect(trees.lines()).toEqual(["file .wh.d1", "file .wh.d2", "file .wh.e", "file .wh.f"]);
  });

  test("give what took the place of something else without a whiteout", () => {
    using trees = new Pair(sample);
    quietly(trees.upper, () => {
      rmSync(join(trees.upper, "d1"), { recursive: true });
      symlinkSync("d2", join(trees.upper, "d1"));
      rmSync(join(trees.upper, "f"));
      directory(join(trees.upper, "f"), () => file(join(trees.upper, "f/x")));
    });
    expect(trees.lines()).toEqual(["symlink d1 -> d2", "directory f/", "file f/x"]);
  });

  // U-TAR.21
  test("are read where the attributes agree, unless a time to the nanosecond is to be trusted", () => {
    using trees = new Pair((root) => {
      for (const name of ["fraction", "second", "size"]) file(join(root, name), "one");
      utimesSync(join(root, "fraction"), 1, 1.5);
      utimesSync(root, 1, 1);
    });
    file(join(trees.upper, "second"), "two");
    file(join(trees.upper, "size"), "three");
    file(join(trees.upper, "fraction"), "two");
    utimesSync(join(trees.upper, "fraction"), 1, 1.5);
    expect(trees.lines()).toEqual(["file fraction", "file second", "file size"]);
    expect(linesOf({ lower: trees.lower, upper: trees.upper, trustTimes: true })).toEqual(["file second", "file size"]);
  });

  test("differ by the nanoseconds of a time, by a link's text, and by a link's own time", () => {
    using trees = new Pair((root) => {
      file(join(root, "f"));
      for (const name of ["text", "time"]) {
        symlinkSync("one", join(root, name));
        lutimesSync(join(root, name), 1, 1);
      }
      utimesSync(root, 1, 1);
    });
    utimensat(AT_FDCWD, join(trees.upper, "f"), { mtime: { seconds: 1, nanoseconds: 1 } }, 0);
    quietly(trees.upper, () => {
      unlinkSync(join(trees.upper, "text"));
      symlinkSync("two", join(trees.upper, "text"));
      lutimesSync(join(trees.upper, "text"), 1, 1);
      lutimesSync(join(trees.upper, "time"), 1, 2);
    });
    expect(trees.lines()).toEqual(["file f", "symlink text -> two", "symlink time -> one"]);
    expect(entriesOf(trees)[0]?.mtime).toEqual({ seconds: 1, nanoseconds: 1 });
  });

  test.skipIf(!isRoot)("differ by owner, group, mode or device number alone (needs root)", () => {
    using trees = new Pair((root) => {
      for (const name of ["group", "mode", "owner"]) file(join(root, name));
      mknodat(AT_FDCWD, join(root, "device"), S_IFCHR | 0o600, makedev(1, 3));
      utimesSync(join(root, "device"), 1, 1);
      utimesSync(root, 1, 1);
    });
    quietly(trees.upper, () => {
      chownSync(join(trees.upper, "group"), 0, 1);
      chmodSync(join(trees.upper, "mode"), 0o4644);
      chownSync(join(trees.upper, "owner"), 1, 0);
      unlinkSync(join(trees.upper, "device"));
      mknodat(AT_FDCWD, join(trees.upper, "device"), S_IFCHR | 0o600, makedev(1, 5));
      utimesSync(join(trees.upper, "device"), 1, 1);
    });
    expect(entriesOf(trees)).toMatchObject([
      { type: "char", deviceMajor: 1, deviceMinor: 5 },
      { gid: 1, uid: 0 },
      { mode: 0o4644 },
      { gid: 0, uid: 1 },
    ]);
  });

  // C-TAR.59, U-TAR.25
  test("leave sockets out, count them, and keep their neighbours", async () => {
    using trees = new Pair(sample);
    const server = createServer();
    await new Promise<void>((resolve) => void server.listen(join(trees.upper, "a"), resolve));
    file(join(trees.upper, "b"));
    utimesSync(trees.upper, 1, 1);
    const { summary } = pack(trees);
    const lines = trees.lines();
    file(join(trees.lower, "a"));
    utimesSync(trees.lower, 1, 1);
    const replaced = trees.lines();
    await new Promise((resolve) => void server.close(resolve));
    expect(lines).toEqual(["file b"]);
    expect(replaced).toEqual(["file .wh.a", "file b"]);
    expect(summary.skipped).toEqual({ sockets: 1 });
  });

  // C-TAR.60, U-TAR.27
  test("give the same bytes each time, with times not later than asked for and whiteouts at 0", () => {
    using trees = new Pair(sample);
    file(join(trees.upper, "new"));
    utimesSync(join(trees.upper, "new"), 9, 1000.5);
    file(join(trees.upper, "old"));
    unlinkSync(join(trees.upper, "f"));
    const options = { sourceDateEpoch: 1000 };
    const { layer } = pack(trees, options);
    for (let run = 0; run < 30; run += 1) {
      utimesSync(trees.upper, 5000 + run, 5000 + run);
      expect(pack(trees, options).layer.equals(layer)).toBe(true);
    }
    const entries = new Map(entriesOf(trees, options).map((entry) => [entry.name.toString(), entry]));
    expect([...entries.keys()]).toEqual(["./", ".wh.f", "new", "old"]);
    expect(time(entries.get("./"))).toBe(1000);
    expect(entries.get("new")?.mtime).toEqual({ seconds: 1000, nanoseconds: 0 });
    expect(time(entries.get("old"))).toBe(1);
    expect(time(entries.get(".wh.f"))).toBe(0);
    expect(() => pack(trees, { sourceDateEpoch: 0.5 })).toThrowError(
      expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" }),
    );
  });
});

describe("what no layer can say is refused with its path", () => {
  const code = "ERR_INVALID_DATA";

  test("a name that starts with .wh.", () => {
    using trees = new Pair(sample);
    file(join(trees.upper, "d1/.wh.x"));
    expect(() => pack(trees)).toThrowError(
      expect.objectContaining({
        code,
        message: 'tree: entry "d1/.wh.x": names that start with ".wh." hide others in a layer',
      }),
    );
    // As it is below: nothing is said of it.
    copyTree(join(trees.upper, "d1"), join(trees.lower, "d1"));
    expect(trees.lines()).toEqual([]);
    quietly(join(trees.upper, "d1"), () => unlinkSync(join(trees.upper, "d1/.wh.x")));
    expect(() => pack(trees)).toThrowError(expect.objectContaining({ code }));
  });

  test("a time that no number says exactly", () => {
    using box = new Sandbox("/dev/shm");
    const upper = box.directory();
    file(join(upper, "f"));
    execFileSync("touch", ["-d", "@9007199254740993", join(upper, "f")]);
    expect(() => pack({ upper })).toThrowError(
      expect.objectContaining({
        code,
        message: expect.stringMatching(/^tree: entry "f": time 9007\d+: no layer can say it$/) as string,
      }),
    );
    expect(entriesOf({ upper }, { sourceDateEpoch: 5 })[1]?.mtime).toEqual({ seconds: 5, nanoseconds: 0 });
  });

  test("a directory whose name starts with .wh.", () => {
    using trees = new Pair(sample);
    directory(join(trees.upper, ".wh.d"));
    expect(() => pack(trees)).toThrowError(expect.objectContaining({ code }));
  });

  test("an attribute with an equals sign in its name", () => {
    using trees = new Pair(sample);
    lsetxattr(join(trees.upper, "f"), "user.a=b", Buffer.from("1"), 0);
    expect(() => pack(trees)).toThrowError(/^tree: entry "f": attribute "user.a=b": /);
  });

  test.skipIf(!isRoot)("a character device 0:0 (needs root)", () => {
    using trees = new Pair(sample);
    mknodat(AT_FDCWD, join(trees.upper, "dev"), S_IFCHR, 0);
    expect(() => pack(trees)).toThrowError(/^tree: entry "dev": character device 0:0/);
  });
});

test("holes of a file are zeros", () => {
  using box = new Sandbox();
  const upper = box.directory();
  const fd = openSync(join(upper, "sparse"), "w");
  writeSync(fd, "data", 5_000_000);
  ftruncateSync(fd, 20_000_000);
  closeSync(fd);
  const [, entry] = entriesOf({ upper });
  expect(entry?.size).toBe(20_000_000);
  expect(entry?.content.subarray(5_000_000, 5_000_004).toString()).toBe("data");
  expect(entry?.content.fill(0, 5_000_000, 5_000_004).equals(Buffer.alloc(20_000_000))).toBe(true);
});

test("a tree of 300 nested directories with long names is read with few descriptors", () => {
  using box = new Sandbox();
  const upper = box.directory();
  const name = "d".repeat(200);
  let fd = openat2(AT_FDCWD, upper, { flags: O_RDONLY | O_DIRECTORY });
  for (let depth = 0; depth < 300; depth += 1) {
    mkdirat(fd, name, 0o755);
    // Found when all that is below the directory beside it is done.
    mknodat(fd, "z", S_IFIFO | 0o600, 0);
    const next = openat2(fd, name, { flags: O_RDONLY | O_DIRECTORY });
    close(fd);
    fd = next;
  }
  close(fd);
  const before = openDescriptors().length;
  let most = 0;
  const packing = packLayer({ upper });
  let next = packing.next();
  for (; next.done !== true; next = packing.next()) most = Math.max(most, openDescriptors().length);
  expect(next.value.entries).toBe(601);
  expect(most - before).toBeLessThan(120);
  // Node cannot remove what is that deep.
  execFileSync("rm", ["-rf", join(upper, name)]);
});

// C-TAR.2
test.skipIf(!isRoot)("GNU tar extracts the same tree (needs root)", () => {
  using box = new Sandbox();
  const [upper, extracted] = [box.directory(), box.directory()];
  directory(join(upper, "d"), () => {
    file(join(upper, "d", "n".repeat(200)), "long");
    file(join(upper, "d/f"), "z".repeat(70_000));
    linkSync(join(upper, "d/f"), join(upper, "d/g"));
    symlinkSync("l".repeat(300), join(upper, "d/link"));
  });
  writeFileSync(Buffer.concat([Buffer.from(`${upper}/`), Buffer.from([0xff, 0xfe])]), "no UTF-8");
  mknodat(AT_FDCWD, join(upper, "fifo"), S_IFIFO | 0o640, 0);
  lsetxattr(join(upper, "d/f"), "user.a", Buffer.from([1, 10, 2]), 0);
  utimensat(AT_FDCWD, join(upper, "d/link"), { mtime: { seconds: -5, nanoseconds: 7 } }, AT_SYMLINK_NOFOLLOW);
  const input = pack({ upper }).layer;
  execFileSync("tar", ["-x", "--xattrs", "--xattrs-include=*", "--numeric-owner", "-C", extracted], {
    input,
    // It warns of times before 1970.
    stdio: "pipe",
  });
  expect(readTree(extracted)).toEqual(readTree(upper));
});
