import { createHash } from "node:crypto";
import { closeSync, lstatSync, openSync, readSync, readdirSync, readlinkSync } from "node:fs";
import { lgetxattr, llistxattr } from "@varve/syscalls";

/** Everything about one path that two unpacked images must agree on. */
export interface TreeEntry {
  readonly type: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Nanoseconds since the epoch. */
  readonly mtime: bigint;
  /** Digest of a file's contents, target of a link, number of a device. */
  readonly content: string;
  /** The first path, in byte order, of the same inode. */
  readonly firstLink: string;
  readonly xattrs: Readonly<Record<string, string>>;
}

/** Reads a whole tree. Paths are latin1 strings, one character a byte, because names are bytes. */
export function readTree(root: string): Map<string, TreeEntry> {
  const entries = new Map<string, TreeEntry>();
  const firstLinks = new Map<bigint, string>();
  const pending = [""];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const full = Buffer.from(`${root}/${path}`, "latin1");
    const stat = lstatSync(full, { bigint: true });
    const firstLink = firstLinks.get(stat.ino) ?? path;
    firstLinks.set(stat.ino, firstLink);
    entries.set(path, {
      type: typeOf(stat),
      mode: Number(stat.mode) & 0o7777,
      uid: Number(stat.uid),
      gid: Number(stat.gid),
      mtime: stat.mtimeNs,
      content: contentOf(full, stat),
      firstLink,
      xattrs: xattrsOf(full),
    });
    if (!stat.isDirectory()) continue;
    const names = readdirSync(full, { encoding: "buffer" }).map((name) => name.toString("latin1"));
    // Popped from the end: children in byte order, so that `firstLink` is the same for equal trees.
    for (const name of names.toSorted().toReversed()) pending.push(path === "" ? name : `${path}/${name}`);
  }
  return entries;
}

/** One line for each difference; none for equal trees. */
export function compareTrees(
  actual: ReadonlyMap<string, TreeEntry>,
  expected: ReadonlyMap<string, TreeEntry>,
): string[] {
  const differences: string[] = [];
  for (const [path, wanted] of expected) {
    const found = actual.get(path);
    if (found === undefined) differences.push(`${path}: missing`);
    else differences.push(...compareEntries(path, found, wanted));
  }
  for (const path of actual.keys()) if (!expected.has(path)) differences.push(`${path}: should not exist`);
  return differences;
}

function compareEntries(path: string, found: TreeEntry, wanted: TreeEntry): string[] {
  const keys = Object.keys(wanted) as (keyof TreeEntry)[];
  return keys
    .filter((key) => inspect(found[key]) !== inspect(wanted[key]))
    .map((key) => `${path}: ${key}: ${inspect(found[key])} instead of ${inspect(wanted[key])}`);
}

function inspect(value: unknown): string {
  return typeof value === "bigint" ? String(value) : JSON.stringify(value);
}

function typeOf(stat: {
  isFile(): boolean;
  isDirectory(): boolean;
  isSymbolicLink(): boolean;
  isFIFO(): boolean;
  isBlockDevice(): boolean;
  isCharacterDevice(): boolean;
}): string {
  if (stat.isFile()) return "file";
  if (stat.isDirectory()) return "directory";
  if (stat.isSymbolicLink()) return "link";
  if (stat.isFIFO()) return "fifo";
  if (stat.isBlockDevice()) return "block device";
  return stat.isCharacterDevice() ? "character device" : "socket";
}

function contentOf(
  path: Buffer,
  stat: {
    isFile(): boolean;
    isSymbolicLink(): boolean;
    isBlockDevice(): boolean;
    isCharacterDevice(): boolean;
    readonly rdev: bigint;
    readonly size: bigint;
  },
): string {
  if (stat.isFile()) return `${stat.size} ${hashFile(path)}`;
  if (stat.isSymbolicLink()) return readlinkSync(path, { encoding: "buffer" }).toString("latin1");
  return stat.isBlockDevice() || stat.isCharacterDevice() ? String(stat.rdev) : "";
}

function hashFile(path: Buffer): string {
  const hash = createHash("sha256");
  const block = Buffer.allocUnsafe(1 << 20);
  const file = openSync(path, "r");
  try {
    for (let read = readSync(file, block); read > 0; read = readSync(file, block)) hash.update(block.subarray(0, read));
  } finally {
    closeSync(file);
  }
  return hash.digest("hex");
}

/** An overlay shows none of its own attributes; a plain directory has none. */
function xattrsOf(path: Buffer): Record<string, string> {
  const found = llistxattr(path).map((name): [string, string] => {
    const text = Buffer.from(name).toString("latin1");
    return [text, Buffer.from(lgetxattr(path, name)).toString("hex")];
  });
  return Object.fromEntries(found.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
