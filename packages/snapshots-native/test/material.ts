import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { Snapshotter } from "@varve/snapshots";
import * as sys from "@varve/syscalls";

/** Commits what `fill` makes as A, prepares b on it, and tells where the files of both are. */
export async function copied(
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
export function facts(directory: string, name: string | Buffer): unknown {
  const path = Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(name)]);
  const { mode, uid, gid, nlink, rdev, size, mtime } = sys.statx(sys.AT_FDCWD, path, sys.AT_SYMLINK_NOFOLLOW);
  const attributes = sys.llistxattr(path).map((key) => [key.toString(), sys.lgetxattr(path, key).toString("hex")]);
  const isDirectory = (mode & sys.S_IFMT) === sys.S_IFDIR;
  return { mode, uid, gid, nlink, rdev, mtime, attributes, size: isDirectory ? 0 : size };
}

export function inodeOf(directory: string, name: string): bigint {
  return sys.statx(sys.AT_FDCWD, join(directory, name), sys.AT_SYMLINK_NOFOLLOW).ino;
}

/** All names in hexadecimal, in order. */
export function namesIn(directory: string): string[] {
  return readdirSync(directory, { encoding: "buffer" })
    .map((name) => name.toString("hex"))
    .toSorted();
}

export function digest(path: string): string {
  return execFileSync("sha256sum", ["--", path], { encoding: "utf8" }).slice(0, 64);
}
