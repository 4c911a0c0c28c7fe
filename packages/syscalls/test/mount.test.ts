import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import * as sys from "@varve/syscalls";
import { testDirectory } from "./directory.ts";

const cannotMount: boolean = process.platform !== "linux" || process.geteuid?.() !== 0;

test("bytes for a device's own request go there and come back", () => {
  using dir = testDirectory();
  writeFileSync(join(dir.path, "file"), "content");
  const fd = sys.openat2(dir.fd, "file", { flags: sys.O_RDONLY });
  const flags = new Uint8Array(8).fill(0xff);
  // FS_IOC_GETFLAGS, _IOR('f', 1, long); tmpfs and ext4 both have it, of which only four bytes are written.
  sys.ioctl(fd, 0x8008_6601, flags);
  expect(flags.subarray(0, 4)).not.toEqual(new Uint8Array(4).fill(0xff));
  // TCGETS, which is for terminals only.
  expect(sys.tryIoctl(fd, 0x5401, new Uint8Array(64))).toBe(-sys.ENOTTY);
  expect(sys.tryIoctl(fd, 0x5401, new Uint8Array(70_000))).toBe(-sys.EINVAL);
  expect(() => sys.ioctl(fd, 0x5401, 0)).toThrow(expect.objectContaining({ syscall: "ioctl" }));
  sys.close(fd);
});

describe.skipIf(cannotMount)("a filesystem that is mounted (needs root on Linux)", () => {
  test("can be picked up and changed, and its root only", () => {
    using dir = testDirectory();
    sys.mount(dir.path, { type: "tmpfs", source: "tmpfs", flags: 0, data: "size=64k" });
    try {
      mkdirSync(join(dir.path, "inner"));
      const picked = sys.fspick(sys.AT_FDCWD, dir.path, sys.FSPICK_CLOEXEC);
      sys.fsconfig(picked, { key: "size", value: "1m" });
      sys.fsconfigReconfigure(picked);
      sys.close(picked);
      expect(readFileSync("/proc/self/mountinfo", "utf8")).toMatch(new RegExp(`${dir.path} .*size=1024k`));
      const root = sys.openat2(sys.AT_FDCWD, dir.path, { flags: sys.O_PATH });
      const again = sys.fspick(root, "", sys.FSPICK_CLOEXEC | sys.FSPICK_EMPTY_PATH);
      sys.fsconfig(again, { key: "ro" });
      sys.fsconfigReconfigure(again);
      for (const fd of [root, again]) sys.close(fd);
      expect(() => writeFileSync(join(dir.path, "file"), "")).toThrow("EROFS");
      expect(sys.tryFspick(sys.AT_FDCWD, join(dir.path, "inner"), sys.FSPICK_CLOEXEC)).toBe(-sys.EINVAL);
    } finally {
      sys.umount2(dir.path, sys.MNT_DETACH);
    }
  });
});
