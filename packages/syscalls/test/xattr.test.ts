import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import * as sys from "@varve/syscalls";
import { root, testDirectory } from "./directory.ts";

const binary = Buffer.from([1, 0, 0, 2, 0, 0xff, 0xfe, 0, 0x0a]);

test("a binary value comes back byte for byte", () => {
  using dir = testDirectory();
  const path = join(dir.path, "file");
  writeFileSync(path, "");
  sys.setxattr(path, "user.a", binary, 0);
  sys.lsetxattr(path, Buffer.from("user.b"), new Uint8Array(), sys.XATTR_CREATE);
  expect(sys.lgetxattr(path, "user.a")).toEqual(binary);
  expect(sys.lgetxattr(path, "user.b")).toHaveLength(0);
  expect(sys.llistxattr(path).map(String).toSorted()).toEqual(["user.a", "user.b"]);
  sys.lremovexattr(path, "user.a");
  expect(sys.tryLgetxattr(path, "user.a")).toBe(-sys.ENODATA);
  expect(sys.tryLsetxattr(path, "user.b", binary, sys.XATTR_CREATE)).toBe(-sys.EEXIST);
});

test("an open file's attributes are reached by its descriptor", () => {
  using dir = testDirectory();
  const fd = sys.openat2(dir.fd, "file", { flags: sys.O_CREAT | sys.O_RDWR, mode: 0o600 });
  sys.fsetxattr(fd, "user.a", binary, 0);
  expect(sys.fgetxattr(fd, "user.a")).toEqual(binary);
  expect(sys.flistxattr(fd).map(String)).toEqual(["user.a"]);
  sys.fremovexattr(fd, "user.a");
  expect(sys.flistxattr(fd)).toEqual([]);
  expect(sys.tryFgetxattr(fd, "user.a")).toBe(-sys.ENODATA);
  sys.close(fd);
});

test("a value beyond the kernel's limit is refused and not cut", () => {
  using dir = testDirectory();
  const path = join(dir.path, "file");
  writeFileSync(path, "");
  expect(sys.trySetxattr(path, "user.big", Buffer.alloc(65_537), 0)).toBe(-sys.EINVAL);
  expect(sys.llistxattr(path)).toEqual([]);
});

test("by directory and name, a name that is a path is refused", () => {
  using dir = testDirectory();
  mkdirSync(join(dir.path, "a"));
  expect(() => sys.lsetxattrat(dir.fd, "a/b", "user.a", binary, 0)).toThrow(
    expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" }),
  );
  sys.lsetxattrat(dir.fd, "a", "user.a", binary, 0);
  expect(sys.lgetxattrat(dir.fd, "a", "user.a")).toEqual(binary);
  expect(sys.llistxattrat(dir.fd, "a").map(String)).toEqual(["user.a"]);
  sys.lremovexattrat(dir.fd, "a", "user.a");
  expect(sys.tryLgetxattrat(dir.fd, "a", "user.a")).toBe(-sys.ENODATA);
});

test.skipIf(!root)("a link's own attributes are set and its target's are not (needs root)", () => {
  using dir = testDirectory();
  writeFileSync(join(dir.path, "file"), "");
  sys.symlinkat("file", dir.fd, "link");
  sys.lsetxattrat(dir.fd, "link", "trusted.a", binary, 0);
  expect(sys.lgetxattr(join(dir.path, "link"), "trusted.a")).toEqual(binary);
  expect(sys.llistxattr(join(dir.path, "file"))).toEqual([]);
  const fd = sys.openat2(dir.fd, "link", { flags: sys.O_PATH | sys.O_NOFOLLOW });
  sys.lsetxattrat(fd, "", "trusted.b", binary, 0);
  expect(sys.lgetxattrat(fd, "", "trusted.b")).toEqual(binary);
  expect(sys.llistxattrat(fd, "").map(String).toSorted()).toEqual(["trusted.a", "trusted.b"]);
  sys.lremovexattrat(fd, "", "trusted.a");
  sys.close(fd);
  expect(sys.llistxattr(join(dir.path, "link")).map(String)).toEqual(["trusted.b"]);
  expect(sys.llistxattr(join(dir.path, "file"))).toEqual([]);
});
