import { lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import * as sys from "@varve/syscalls";
import { root, testDirectory } from "./directory.ts";

const notUtf8 = Buffer.from([0x66, 0xff, 0xfe, 0x0a]);

test("a name that is not UTF-8 keeps its bytes", () => {
  using dir = testDirectory();
  const fd = sys.openat2(dir.fd, notUtf8, { flags: sys.O_CREAT | sys.O_EXCL | sys.O_WRONLY, mode: 0o600 });
  writeSync(fd, "body");
  sys.close(fd);
  const listing = sys.openat2(dir.fd, ".", { flags: sys.O_RDONLY | sys.O_DIRECTORY });
  expect(sys.getdents64(listing)).toEqual([{ name: notUtf8, type: sys.S_IFREG }]);
  expect(sys.getdents64(listing)).toEqual([]);
  sys.close(listing);
  expect(readFileSync(Buffer.concat([Buffer.from(`${dir.path}/`), notUtf8]), "utf8")).toBe("body");
});

test("a failure has the properties of an error of node:fs and a printable path", () => {
  using dir = testDirectory();
  let thrown: unknown;
  try {
    sys.openat2(dir.fd, notUtf8, { flags: sys.O_RDONLY });
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(sys.SyscallError);
  expect(thrown).toMatchObject({
    code: "ENOENT",
    errno: -2,
    syscall: "openat2",
    path: String.raw`f\xff\xfe\x0a`,
    message: String.raw`ENOENT: no such file or directory, openat2 'f\xff\xfe\x0a'`,
  });
});

test("errors that Node has no text for are named", () => {
  expect(new sys.SyscallError("write", sys.EDQUOT)).toMatchObject({
    code: "EDQUOT",
    message: "EDQUOT: disk quota exceeded, write",
  });
  expect(new sys.SyscallError("write", 117)).toMatchObject({ code: "EUCLEAN" });
  expect(new sys.SyscallError("write", 4000)).toMatchObject({ code: "E4000", errno: -4000 });
});

test("the quick forms return the negative error number", () => {
  using dir = testDirectory();
  expect(sys.tryOpenat2(dir.fd, "none", { flags: sys.O_RDONLY })).toBe(-sys.ENOENT);
  expect(sys.tryMkdirat(dir.fd, "a", 0o700)).toBe(0);
  expect(sys.tryMkdirat(dir.fd, "a", 0o700)).toBe(-sys.EEXIST);
  expect(sys.tryUnlinkat(dir.fd, "a", 0)).toBe(-sys.EISDIR);
  expect(sys.tryStatx(dir.fd, "none", 0)).toBe(-sys.ENOENT);
  expect(sys.tryReadlinkat(dir.fd, "a")).toBe(-sys.EINVAL);
});

test.each([
  ["text", "a\0b"],
  ["bytes", Buffer.from("a\0b")],
])("a path with a zero byte is refused (%s)", (_, path) => {
  expect(() => sys.tryMkdirat(sys.AT_FDCWD, path, 0o700)).toThrow(
    expect.objectContaining({ code: "ERR_INVALID_ARGUMENT", message: String.raw`path a\x00b: contains a zero byte` }),
  );
});

test("a path of 4095 bytes reaches the kernel and a longer one is ENAMETOOLONG", () => {
  using dir = testDirectory();
  const longest = `${"./".repeat(2047)}.`;
  expect(longest.length).toBe(4095);
  expect(sys.tryStatx(dir.fd, longest, 0)).toMatchObject({ mode: sys.S_IFDIR | 0o700 });
  expect(sys.tryStatx(dir.fd, `${longest}.`, 0)).toBe(-sys.ENAMETOOLONG);
  expect(sys.tryStatx(dir.fd, Buffer.from(`${longest}.`), 0)).toBe(-sys.ENAMETOOLONG);
  expect(sys.tryStatx(dir.fd, "é".repeat(2048), 0)).toBe(-sys.ENAMETOOLONG);
});

test("RESOLVE_IN_ROOT keeps absolute and climbing links inside", () => {
  using dir = testDirectory();
  mkdirSync(join(dir.path, "etc"));
  writeFileSync(join(dir.path, "etc/passwd"), "inside");
  symlinkSync("/etc/passwd", join(dir.path, "absolute"));
  symlinkSync("../../../../etc/passwd", join(dir.path, "climbing"));
  for (const name of ["absolute", "climbing", "../../etc/passwd"]) {
    const fd = sys.openat2(dir.fd, name, { flags: sys.O_RDONLY, resolve: sys.RESOLVE_IN_ROOT });
    expect(readFileSync(fd, "utf8")).toBe("inside");
    sys.close(fd);
  }
  const how = { flags: sys.O_RDONLY, resolve: sys.RESOLVE_BENEATH };
  expect(sys.tryOpenat2(dir.fd, "absolute", how)).toBe(-sys.EXDEV);
  const strict = { flags: sys.O_RDONLY, resolve: sys.RESOLVE_NO_SYMLINKS };
  expect(sys.tryOpenat2(dir.fd, "absolute", strict)).toBe(-sys.ELOOP);
});

test("links, hard links and renames work on names of one directory", () => {
  using dir = testDirectory();
  sys.symlinkat("../else where", dir.fd, "link");
  expect(sys.readlinkat(dir.fd, "link").toString()).toBe("../else where");
  const link = sys.openat2(dir.fd, "link", { flags: sys.O_PATH | sys.O_NOFOLLOW });
  expect(sys.readlinkat(link, "").toString()).toBe("../else where");
  sys.close(link);
  sys.linkat(dir.fd, "link", dir.fd, "same", 0);
  expect(sys.statx(dir.fd, "same", sys.AT_SYMLINK_NOFOLLOW)).toMatchObject({ nlink: 2, mode: sys.S_IFLNK | 0o777 });
  sys.mkdirat(dir.fd, "other", 0o755);
  expect(sys.tryRenameat2(dir.fd, "other", dir.fd, "link", sys.RENAME_NOREPLACE)).toBe(-sys.EEXIST);
  sys.renameat2(dir.fd, "other", dir.fd, "link", sys.RENAME_EXCHANGE);
  expect(lstatSync(join(dir.path, "link")).isDirectory()).toBe(true);
  sys.unlinkat(dir.fd, "link", sys.AT_REMOVEDIR);
  expect(() => sys.unlinkat(dir.fd, "link", 0)).toThrow("ENOENT: no such file or directory, unlinkat 'link'");
  expect(() => sys.renameat2(dir.fd, "no", dir.fd, "b", 0)).toThrow("renameat2 'no' -> 'b'");
});

test("times are kept to the nanosecond, on links and before 1970", () => {
  using dir = testDirectory();
  sys.symlinkat("x", dir.fd, "link");
  const mtime = { seconds: 1_234_567_890, nanoseconds: 123_456_789 };
  const atime = { seconds: -7n, nanoseconds: 1 };
  sys.utimensat(dir.fd, "link", { atime, mtime }, sys.AT_SYMLINK_NOFOLLOW);
  expect(sys.statx(dir.fd, "link", sys.AT_SYMLINK_NOFOLLOW)).toMatchObject({
    mtime,
    atime: { seconds: -7, nanoseconds: 1 },
  });
  const file = sys.openat2(dir.fd, "file", { flags: sys.O_CREAT | sys.O_WRONLY, mode: 0o600 });
  const before = sys.statx(file, "", 0);
  sys.utimensat(file, null, { mtime: { seconds: -5_000_000_000, nanoseconds: 0 } }, 0);
  const after = sys.statx(file, "", 0);
  // ext4 cannot go back that far and takes its earliest time.
  expect(after.mtime.seconds).toBeLessThan(-2_000_000_000);
  expect(after.atime).toEqual(before.atime);
  sys.close(file);
  const bad = { mtime: { seconds: 1.5, nanoseconds: 0 } };
  expect(() => sys.tryUtimensat(dir.fd, "link", bad, 0)).toThrow(
    expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" }),
  );
});

test("chmod does not follow a link unless told to", () => {
  using dir = testDirectory();
  writeFileSync(join(dir.path, "file"), "", { mode: 0o600 });
  sys.symlinkat("file", dir.fd, "link");
  expect(sys.tryFchmodat(dir.fd, "link", 0o644, sys.AT_SYMLINK_NOFOLLOW)).toBe(-sys.EOPNOTSUPP);
  expect(lstatSync(join(dir.path, "file")).mode & 0o7777).toBe(0o600);
  sys.fchmodat(dir.fd, "file", 0o4755, sys.AT_SYMLINK_NOFOLLOW);
  expect(lstatSync(join(dir.path, "file")).mode & 0o7777).toBe(0o4755);
  const fd = sys.openat2(dir.fd, "file", { flags: sys.O_PATH });
  sys.fchmodat(fd, "", 0o640, sys.AT_EMPTY_PATH);
  sys.close(fd);
  expect(lstatSync(join(dir.path, "file")).mode & 0o7777).toBe(0o640);
});

test("device numbers are put together and taken apart as the kernel does", () => {
  for (const [high, low] of [
    [0, 0],
    [1, 3],
    [8, 256],
    [4095, 1_048_575],
  ] as const) {
    const dev = sys.makedev(high, low);
    expect([sys.major(dev), sys.minor(dev)]).toEqual([high, low]);
  }
  expect(() => sys.makedev(4096, 0)).toThrow("device 4096:0: out of range");
  expect(() => sys.makedev(1, -1)).toThrow(expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" }));
  expect(sys.statx(sys.AT_FDCWD, "/dev/null", 0).rdev).toBe(sys.makedev(1, 3));
});

test.skipIf(!root)("devices, whiteouts and owners are made (needs root)", () => {
  using dir = testDirectory();
  sys.mknodat(dir.fd, "null", sys.S_IFCHR | 0o666, sys.makedev(1, 3));
  sys.mknodat(dir.fd, "whiteout", sys.S_IFCHR, sys.makedev(0, 0));
  sys.mknodat(dir.fd, "fifo", sys.S_IFIFO | 0o600, 0);
  expect(sys.statx(dir.fd, "null", 0).rdev).toBe(sys.makedev(1, 3));
  expect(sys.statx(dir.fd, "whiteout", 0)).toMatchObject({ rdev: 0, mode: sys.S_IFCHR });
  expect(lstatSync(join(dir.path, "fifo")).isFIFO()).toBe(true);
  sys.symlinkat("x", dir.fd, "link");
  sys.fchownat(dir.fd, "link", 4_000_000_000, 7, sys.AT_SYMLINK_NOFOLLOW);
  sys.fchownat(dir.fd, "link", -1, 8, sys.AT_SYMLINK_NOFOLLOW);
  expect(sys.statx(dir.fd, "link", sys.AT_SYMLINK_NOFOLLOW)).toMatchObject({ uid: 4_000_000_000, gid: 8 });
});

test("a directory larger than one batch is listed whole", () => {
  using dir = testDirectory();
  const expected = Array.from({ length: 5000 }, (_, index) => `some-rather-long-name-${index}`).toSorted();
  for (const name of expected) sys.mknodat(dir.fd, name, sys.S_IFREG | 0o600, 0);
  const listing = sys.openat2(dir.fd, ".", { flags: sys.O_RDONLY | sys.O_DIRECTORY });
  const names: string[] = [];
  let batches = 0;
  for (let batch = sys.getdents64(listing); batch.length > 0; batch = sys.getdents64(listing)) {
    batches += 1;
    names.push(...batch.map((entry) => entry.name.toString()));
  }
  sys.close(listing);
  expect(batches).toBeGreaterThan(1);
  expect(names.toSorted()).toEqual(expected);
});

test("threads have memory of their own", async () => {
  using dir = testDirectory();
  const source = `
    import { workerData } from "node:worker_threads";
    import { mkdirat, openat2, close, statx, tryStatx, O_PATH, AT_FDCWD } from ${JSON.stringify(import.meta.resolve("@varve/syscalls"))};
    const fd = openat2(AT_FDCWD, workerData.path, { flags: O_PATH });
    for (let i = 0; i < 2000; i += 1) {
      const name = "t" + workerData.thread + "-" + i;
      mkdirat(fd, name, 0o700);
      statx(fd, name, 0);
      if (tryStatx(fd, "missing-" + name, 0) !== -2) throw new Error("wrong errno");
    }
    close(fd);
  `;
  const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
  const run = (thread: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const worker = new Worker(url, { workerData: { path: dir.path, thread } });
      worker.once("error", reject);
      worker.once("exit", (code) => (code === 0 ? resolve() : reject(new Error(`exit ${code}`))));
    });
  await Promise.all([run(1), run(2), run(3)]);
  expect(sys.statx(dir.fd, "", 0).nlink).toBe(2 + 3 * 2000);
});
