import { execFileSync } from "node:child_process";
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";

/** The name that vectors give to what they try to put outside. */
export const escapedName = "varve-escaped";

/**
 * What stands around the roots, and must be as it was after each layer: files, links and a fifo that layers try to reach, and
 * the directories above the roots.
 */
export interface Canary {
  /** Its absolute path, which vectors aim at. */
  readonly path: string;
  /** What changed since it was made, a line each: any change of an inode changes its `ctime`. */
  changes(): string[];
}

/**
 * Makes `canary` in a directory. Roots may be made in the directories `below`, which lie in it too, and nothing else in it.
 */
export function makeCanary(directory: string, below: string): Canary {
  const path = join(directory, "canary");
  mkdirSync(join(path, "etc/empty"), { recursive: true });
  writeFileSync(join(path, "passwd"), "outside", { mode: 0o400 });
  writeFileSync(join(path, "etc/shadow"), "secret", { mode: 0o600 });
  writeFileSync(join(path, "etc/run"), "#!/bin/sh\n");
  chmodSync(join(path, "etc/run"), 0o4755);
  linkSync(join(path, "passwd"), join(path, "etc/linked"));
  symlinkSync("../passwd", join(path, "etc/link"));
  execFileSync("mkfifo", [join(path, "pipe")]);
  chmodSync(join(path, "etc"), 0o711);
  for (const name of ["passwd", "etc/shadow", "etc/empty", "etc", "."]) utimesSync(join(path, name), 1, 1);
  const before = look(directory, below);
  return {
    path,
    changes: () => [...compare(look(directory, below), before), ...escaped(directory)],
  };
}

/** A line for each path in `directory`, but for `below`, of which only the name counts. */
function look(directory: string, below: string): Map<string, string> {
  const found = new Map<string, string>();
  const pending = [directory];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const { mode, uid, gid, nlink, ino, size, ctimeNs, mtimeNs } = lstatSync(path, { bigint: true });
    if (path === below) continue;
    const inode = path === directory ? [mode, uid, gid] : [mode, uid, gid, nlink, ino, size, ctimeNs, mtimeNs];
    found.set(path, `${inode.join(" ")} ${contentOf(path)}`);
    if (lstatSync(path).isDirectory()) for (const name of readdirSync(path)) pending.push(join(path, name));
  }
  return found;
}

function contentOf(path: string): string {
  const stat = lstatSync(path);
  if (stat.isFile()) return readFileSync(path, "latin1");
  return stat.isSymbolicLink() ? readlinkSync(path) : "";
}

function compare(now: ReadonlyMap<string, string>, before: ReadonlyMap<string, string>): string[] {
  const paths = [...new Set([...now.keys(), ...before.keys()])];
  return paths
    .filter((path) => now.get(path) !== before.get(path))
    .map((path) => `${path}: ${now.get(path) ?? "gone"} instead of ${before.get(path) ?? "nothing"}`);
}

/** Looks for what vectors make in every directory above, in the root of the machine, and where the process works. */
function escaped(directory: string): string[] {
  const places = [process.cwd(), "/", "/proc", "/dev"];
  for (let at = directory; at !== dirname(at); at = dirname(at)) places.push(at);
  return places
    .map((place) => join(place, escapedName))
    .filter((path) => lstatSync(path, { throwIfNoEntry: false }) !== undefined)
    .map((path) => `${path}: was made`);
}
