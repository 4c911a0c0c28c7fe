import {
  closeSync,
  constants,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  type BigIntStats,
} from "node:fs";
import type { NodeType } from "./expected.ts";

/** All about one path. */
export interface TreeNode {
  readonly type: NodeType;
  /** As in `ExpectedNode`. */
  readonly content: string;
  readonly size: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: bigint;
  readonly xattrs: Readonly<Record<string, string>>;
  /** The first path, in the order of their bytes, of the same inode; directories have themselves. */
  readonly inode: string;
}

export type Tree = ReadonlyMap<string, TreeNode>;

/** Names and values of the attributes of a path, which may be a link. Node has no call for it. */
export type ReadXattrs = (path: Buffer) => Iterable<readonly [name: string, value: Buffer]>;

interface OpenDirectory {
  readonly fd: number;
  readonly path: string;
  /** Names still to be read, the last first. */
  readonly names: string[];
}

/** Reads a tree, however deep its paths are. Nothing but files and directories is opened, and no link is followed. */
export function readTree(root: string, readXattrs: ReadXattrs = () => []): Map<string, TreeNode> {
  const nodes = new Map<string, TreeNode>();
  const inodes = new Map<string, string>();
  const take = (at: Buffer, path: string): TreeNode => {
    const stat = lstatSync(at, { bigint: true });
    const key = `${stat.dev}:${stat.ino}`;
    if (!inodes.has(key)) inodes.set(key, path);
    const node = describe(at, stat, inodes.get(key) ?? path, readXattrs);
    nodes.set(path, node);
    return node;
  };
  take(Buffer.from(root), "");
  const open: OpenDirectory[] = [openDirectory(Buffer.from(root), "")];
  try {
    for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
      const name = top.names.pop();
      if (name === undefined) {
        closeSync(top.fd);
        open.pop();
        continue;
      }
      const at = Buffer.from(`/proc/self/fd/${top.fd}/${name}`, "latin1");
      const path = top.path === "" ? name : `${top.path}/${name}`;
      if (take(at, path).type === "directory") open.push(openDirectory(at, path));
    }
  } finally {
    for (const { fd } of open) closeSync(fd);
  }
  return nodes;
}

function openDirectory(at: Buffer, path: string): OpenDirectory {
  const fd = openSync(at, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  const names = readdirSync(`/proc/self/fd/${fd}`, { encoding: "buffer" }).map((name) => name.toString("latin1"));
  return { fd, path, names: names.toSorted().toReversed() };
}

function describe(at: Buffer, stat: BigIntStats, inode: string, readXattrs: ReadXattrs): TreeNode {
  const type = typeOf(stat);
  const xattrs = [...readXattrs(at)].filter(([name]) => !name.startsWith("trusted.overlay."));
  return {
    type,
    content: contentOf(at, type, stat),
    size: type === "file" ? Number(stat.size) : 0,
    mode: Number(stat.mode) & 0o7777,
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    mtime: stat.mtimeNs,
    xattrs: Object.fromEntries(xattrs.map(([name, value]) => [name, value.toString("latin1")])),
    inode,
  };
}

function typeOf(stat: BigIntStats): NodeType {
  if (stat.isDirectory()) return "directory";
  if (stat.isFile()) return "file";
  if (stat.isSymbolicLink()) return "link";
  if (stat.isFIFO()) return "fifo";
  if (stat.isSocket()) return "socket";
  return stat.isCharacterDevice() ? "char" : "block";
}

function contentOf(at: Buffer, type: NodeType, { rdev, size }: BigIntStats): string {
  if (type === "file") return size > 1_000_000n ? `${size} bytes` : readFileSync(at, "latin1");
  if (type === "link") return readlinkSync(at, "buffer").toString("latin1");
  return type === "char" || type === "block" ? `${majorOf(rdev)}:${minorOf(rdev)}` : "";
}

// As glibc packs them (sys/sysmacros.h).
function majorOf(device: bigint): bigint {
  return ((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn);
}

function minorOf(device: bigint): bigint {
  return (device & 0xffn) | ((device >> 12n) & ~0xffn);
}
