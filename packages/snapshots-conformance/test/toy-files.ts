import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, lstatSync, mkdirSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Mount, Mounter } from "@varve/mount";
import type { Usage } from "@varve/snapshots";
import type { Entry } from "./toy-place.ts";
import { command } from "./toy-shell.ts";

/** By mount(8), for this package may not use the one of a backend. */
export const commandMounter: Mounter = {
  async mount(mounts, target) {
    for (const { source, options } of mounts) {
      const plain = options.filter((option) => option !== "rbind");
      await command("mount", ["-o", ["bind", ...plain].join(","), source, target]);
    }
  },
  async unmount(target) {
    await command("umount", [target]);
  },
};

export function mountsOf(entry: Entry): readonly Mount[] {
  const isReadOnly = entry.kind === "view" || entry.isStaged === true;
  return [{ type: "bind", source: entry.directory, options: [isReadOnly ? "ro" : "rw", "rbind"] }];
}

/** The directory and all below it. */
export function everythingIn(directory: string): readonly string[] {
  const below = readdirSync(directory, { recursive: true, encoding: "utf8" });
  return [directory, ...below.map((name) => join(directory, name))];
}

/** Says the same as long as nobody changes a file; empty if there is no directory. */
export function fingerprint(directory: string): string {
  if (!isThere(directory) || !lstatSync(directory).isDirectory()) return "";
  const lines = everythingIn(directory).map((path) => {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    const link = stat?.isSymbolicLink() === true ? readlinkSync(path) : "";
    return [path, stat?.mode, stat?.uid, stat?.gid, stat?.size, stat?.mtimeMs, link].join(" ");
  });
  return lines.toSorted().join("\n");
}

export function measure(directory: string): Usage {
  const seen = new Map(
    everythingIn(directory).map((path) => {
      const stat = lstatSync(path, { throwIfNoEntry: false });
      return [stat?.ino ?? -1, stat?.blocks ?? 0];
    }),
  );
  return { bytes: [...seen.values()].reduce((sum, blocks) => sum + blocks * 512, 0), inodes: seen.size };
}

/** Adds what is in the one directory to the other; what is there stays with `keep`. */
export function copyInto(from: string, to: string, keep = false): void {
  if (readdirSync(from).length > 0) execFileSync("cp", [keep ? "-an" : "-a", `${from}/.`, to]);
  else copyAttributes(from, to);
}

/** The same, and others may go on meanwhile. */
export async function copyTree(from: string, to: string): Promise<void> {
  if (readdirSync(from).length > 0) await command("cp", ["-a", `${from}/.`, to]);
  else copyAttributes(from, to);
}

/** Much faster than a process, and most are empty. */
function copyAttributes(from: string, to: string): void {
  const { uid, gid, mode } = lstatSync(from);
  chownSync(to, uid, gid);
  chmodSync(to, mode % 0o10000);
}

export function empty(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory);
}

export function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
