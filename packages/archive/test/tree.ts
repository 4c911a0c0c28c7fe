import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { llistxattr, lgetxattr } from "@varve/syscalls";

/** Everything about one name that two equal trees must have in common; paths have one character a byte. */
export interface Node {
  readonly path: string;
  readonly type: string;
  readonly mode: string;
  readonly owner: string;
  readonly mtime: bigint;
  readonly content: string;
  /** The first path (in order) with the same inode. */
  readonly inode: string;
  readonly xattrs: readonly string[];
}

export interface TreeOptions {
  /** Without attributes that are the tree's own business. */
  readonly without?: readonly ("inode" | "mtime" | "owner" | "root")[];
}

/** Reads a tree without following links, in the order of the bytes of the paths. */
export function readTree(root: string, options: TreeOptions = {}): Node[] {
  const without = new Set(options.without);
  const inodes = new Map<string, string>();
  const nodes: Node[] = [];
  const pending: Buffer[] = [Buffer.from(root)];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const stat = lstatSync(path, { bigint: true });
    const name = path.toString("latin1").slice(Buffer.byteLength(root) + 1);
    const type = typeOf(stat);
    const inode = `${stat.dev}:${stat.ino}`;
    if (!inodes.has(inode)) inodes.set(inode, name);
    if (type === "dir") for (const child of sorted(path)) pending.push(child);
    if (name === "" && without.has("root")) continue;
    nodes.push({
      path: name,
      type,
      mode: (stat.mode & 0o7777n).toString(8),
      owner: without.has("owner") ? "" : `${stat.uid}:${stat.gid}`,
      mtime: without.has("mtime") ? 0n : stat.mtimeNs,
      content: contentOf(path, type, stat),
      inode: without.has("inode") || type === "dir" ? "" : (inodes.get(inode) ?? ""),
      xattrs: xattrsOf(path),
    });
  }
  return nodes;
}

function typeOf(stat: {
  isDirectory(): boolean;
  isFile(): boolean;
  isSymbolicLink(): boolean;
  isFIFO(): boolean;
  isCharacterDevice(): boolean;
}): string {
  if (stat.isDirectory()) return "dir";
  if (stat.isFile()) return "file";
  if (stat.isSymbolicLink()) return "link";
  if (stat.isFIFO()) return "fifo";
  return stat.isCharacterDevice() ? "char" : "block";
}

function contentOf(path: Buffer, type: string, stat: { readonly rdev: bigint }): string {
  if (type === "file") return createHash("sha256").update(readFileSync(path)).digest("hex");
  if (type === "link") return readlinkSync(path, "buffer").toString("latin1");
  return type === "char" || type === "block" ? String(stat.rdev) : "";
}

// The last first, for they are taken from the end.
function sorted(path: Buffer): Buffer[] {
  const names = readdirSync(path, { encoding: "buffer" });
  return names.toSorted((a, b) => Buffer.compare(b, a)).map((name) => Buffer.concat([path, Buffer.from("/"), name]));
}

function xattrsOf(path: Buffer): string[] {
  const names = llistxattr(path).map((name) => name.toString("latin1"));
  const own = names.filter((name) => !name.startsWith("trusted.overlay."));
  return own.toSorted().map((name) => `${name}=${lgetxattr(path, Buffer.from(name, "latin1")).toString("hex")}`);
}
