import { ftruncateSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import * as sys from "@varve/syscalls";
import { testDirectory } from "./directory.ts";

test("a lock held through another descriptor is EAGAIN until that one is closed", () => {
  using dir = testDirectory();
  const open = (): number => sys.openat2(dir.fd, "lock", { flags: sys.O_CREAT | sys.O_RDWR, mode: 0o600 });
  const [first, second] = [open(), open()];
  sys.flock(first, sys.LOCK_EX);
  expect(sys.tryFlock(second, sys.LOCK_EX | sys.LOCK_NB)).toBe(-sys.EAGAIN);
  sys.close(first);
  expect(sys.tryFlock(second, sys.LOCK_EX | sys.LOCK_NB)).toBe(0);
  sys.close(second);
});

test("bytes are copied inside the kernel, and the end gives 0", () => {
  using dir = testDirectory();
  writeFileSync(join(dir.path, "from"), "0123456789");
  const from = sys.openat2(dir.fd, "from", { flags: sys.O_RDONLY });
  const to = sys.openat2(dir.fd, "to", { flags: sys.O_CREAT | sys.O_WRONLY, mode: 0o600 });
  expect(sys.copyFileRange(from, to, 4)).toBe(4);
  expect(sys.copyFileRange(from, to, 100)).toBe(6);
  expect(sys.copyFileRange(from, to, 100)).toBe(0);
  sys.syncFileRange(to, 0, 0, sys.SYNC_FILE_RANGE_WRITE);
  sys.syncfs(to);
  sys.close(from);
  sys.close(to);
  expect(readFileSync(join(dir.path, "to"), "utf8")).toBe("0123456789");
});

test("a clone shares the content, or the filesystem says that it cannot", () => {
  using dir = testDirectory();
  writeFileSync(join(dir.path, "from"), "content");
  const from = sys.openat2(dir.fd, "from", { flags: sys.O_RDONLY });
  const to = sys.openat2(dir.fd, "to", { flags: sys.O_CREAT | sys.O_WRONLY, mode: 0o600 });
  const result = sys.tryFiclone(to, from);
  sys.close(from);
  sys.close(to);
  expect([0, -sys.EOPNOTSUPP]).toContain(result);
  expect(readFileSync(join(dir.path, "to"), "utf8")).toBe(result === 0 ? "content" : "");
});

/** A descriptor that is not open; there are free ones before it, which whatever another thread opens takes first. */
function closedDescriptor(directory: number): number {
  const opened = Array.from({ length: 20 }, () => sys.openat2(directory, ".", { flags: sys.O_PATH }));
  for (const fd of opened) sys.close(fd);
  return Math.max(...opened);
}

test("closing a descriptor twice is EBADF", () => {
  using dir = testDirectory();
  const fd = closedDescriptor(dir.fd);
  expect(() => sys.close(fd)).toThrow(expect.objectContaining({ code: "EBADF", syscall: "close" }));
  expect(() => sys.syncfs(fd)).toThrow("EBADF");
});

test("background calls report each its own error, also more of them than koffi takes at a time", async () => {
  using dir = testDirectory();
  const fd = sys.openat2(dir.fd, ".", { flags: sys.O_RDONLY | sys.O_DIRECTORY });
  await sys.syncfsAsync(fd);
  sys.close(fd);
  await expect(sys.syncfsAsync(closedDescriptor(dir.fd))).rejects.toMatchObject({ code: "EBADF", syscall: "syncfs" });
  const calls = Array.from({ length: 600 }, (_, index) =>
    sys.tryUmount2Async(join(dir.path, index % 2 === 0 ? "missing" : "."), sys.UMOUNT_NOFOLLOW),
  );
  const expected = process.geteuid?.() === 0 ? [-sys.ENOENT, -sys.EINVAL] : [-sys.EPERM, -sys.EPERM];
  expect(await Promise.all(calls)).toEqual(calls.map((_, index) => expected[index % 2]));
  await expect(sys.umount2Async("a\0b", 0)).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  expect(await sys.tryUmount2Async("x".repeat(5000), 0)).toBe(-sys.ENAMETOOLONG);
});

test("data and holes of a file are found, and what follows the last data is none", () => {
  using dir = testDirectory();
  const mebibyte = 1024 * 1024;
  const fd = sys.openat2(dir.fd, "sparse", { flags: sys.O_CREAT | sys.O_RDWR, mode: 0o600 });
  ftruncateSync(fd, 6 * mebibyte * mebibyte);
  writeSync(fd, Buffer.alloc(mebibyte, 1), 0, mebibyte, 5 * mebibyte * mebibyte);
  expect(sys.lseek(fd, 0, sys.SEEK_DATA)).toBe(5 * mebibyte * mebibyte);
  expect(sys.lseek(fd, 5 * mebibyte * mebibyte, sys.SEEK_HOLE)).toBe(5 * mebibyte * mebibyte + mebibyte);
  expect(sys.tryLseek(fd, 5 * mebibyte * mebibyte + mebibyte, sys.SEEK_DATA)).toBe(-sys.ENXIO);
  expect(() => sys.lseek(-1, 0, sys.SEEK_DATA)).toThrow("EBADF: bad file descriptor, lseek");
  sys.close(fd);
});
