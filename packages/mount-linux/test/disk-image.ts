import { execFileSync } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, readdirSync, truncateSync, writeFileSync } from "node:fs";
import { ioctl } from "@varve/syscalls";

/** Makes an ext4 filesystem of 16 MiB in a file; `offset` bytes of something else stand before it. */
export function makeExt4(path: string, offset = 0): void {
  writeFileSync(path, "");
  truncateSync(path, offset + 16 * 1024 * 1024);
  execFileSync("mkfs.ext4", ["-q", "-F", "-E", `offset=${offset}`, path, "16M"], { stdio: "pipe" });
}

export const cannotMakeExt4: boolean = !existsSync("/usr/sbin/mkfs.ext4") && !existsSync("/sbin/mkfs.ext4");

/** The loop devices whose image lies in the directory. */
export function loopDevices(directory: string): string[] {
  return readdirSync("/sys/block").filter((name) => {
    const file = `/sys/block/${name}/loop/backing_file`;
    try {
      return readFileSync(file, "utf8").startsWith(`${directory}/`);
    } catch {
      // Free, or no loop device at all.
      return false;
    }
  });
}

/** EXT4_IOC_SHUTDOWN, _IOR('X', 125, __u32); from here on the filesystem fails everything, as after a loss of its disk. */
export function shutDown(mountPoint: string): void {
  const fd = openSync(mountPoint, "r");
  try {
    ioctl(fd, 0x8004_587d, new Uint8Array([2, 0, 0, 0]));
  } finally {
    closeSync(fd);
  }
}
