import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MNT_DETACH, mount, MS_PRIVATE, tryUmount2, UMOUNT_NOFOLLOW } from "@varve/syscalls";

/** A tmpfs of its own. Disposing detaches it, and with it whatever a test has left mounted inside. */
export interface Sandbox extends Disposable {
  readonly path: string;
  /** Makes a directory inside and returns its path. */
  directory(name: string): string;
  /** The mount points inside, sorted, relative to the sandbox. */
  mountPoints(): string[];
}

export function sandbox(): Sandbox {
  const path = mkdtempSync(join(tmpdir(), "varve-mount-linux-"));
  mount(path, { type: "tmpfs", source: "tmpfs", flags: 0 });
  mount(path, { flags: MS_PRIVATE });
  return {
    path,
    directory(name) {
      const directory = join(path, name);
      mkdirSync(directory, { recursive: true });
      return directory;
    },
    mountPoints() {
      const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
      const points = lines.map((line) => line.split(" ")[4] ?? "");
      return points
        .filter((point) => point.startsWith(`${path}/`))
        .map((point) => point.slice(path.length + 1))
        .toSorted();
    },
    [Symbol.dispose]() {
      tryUmount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
      rmdirSync(path);
    },
  };
}

/** Why a test is skipped, in its title; the tests here all mount for real. */
export const cannotMount: boolean = process.platform !== "linux" || process.geteuid?.() !== 0;

/** What this process has open, but for the channels that Node and the test runner open and close for themselves. */
export function openDescriptors(): string[] {
  return readdirSync("/proc/self/fd")
    .map((fd) => `${fd} ${targetOf(fd)}`)
    .filter((line) => !/ (?:socket|pipe|anon_inode:\[event\w+\]|gone)\b/.test(line));
}

function targetOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    // That of the list itself.
    return "gone";
  }
}
