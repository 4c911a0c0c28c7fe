/** What a path must be. Attributes that are left out may be anything. */
export interface ExpectedNode {
  readonly type: NodeType;
  /** Of a file, one character a byte; of a link its target; of a device `major:minor`. */
  readonly content?: string | undefined;
  /** Instead of the content, when that is long. */
  readonly size?: number | undefined;
  readonly mode?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  /** Nanoseconds since 1970. */
  readonly mtime?: bigint | undefined;
  /** All of them; values have one character a byte. Overlayfs's own are left out. */
  readonly xattrs?: Readonly<Record<string, string>> | undefined;
  /** The path of another name for the same inode. Files that do not say so share it with no other path. */
  readonly sameAs?: string | undefined;
}

export type NodeType = "block" | "char" | "directory" | "fifo" | "file" | "link" | "socket";

type More = Omit<ExpectedNode, "type" | "content">;

export const aFile = (content: string, more: More = {}): ExpectedNode => ({ type: "file", content, ...more });
export const aLink = (content: string, more: More = {}): ExpectedNode => ({ type: "link", content, ...more });
export const aDir = (more: More = {}): ExpectedNode => ({ type: "directory", ...more });
export const aFifo = (more: More = {}): ExpectedNode => ({ type: "fifo", ...more });
export const aChar = (content: string, more: More = {}): ExpectedNode => ({ type: "char", content, ...more });
export const aBlock = (content: string, more: More = {}): ExpectedNode => ({ type: "block", content, ...more });

/** Directories down to a path, by their paths: `/a/b` gives `a` and `a/b`. */
export function dirsTo(path: string): Record<string, ExpectedNode> {
  const names = path.split("/").filter((name) => name !== "");
  return Object.fromEntries(names.map((_, at) => [names.slice(0, at + 1).join("/"), aDir()]));
}

/** A name as trees have it: one character a byte of its UTF-8. */
export function latin1(name: string): string {
  return Buffer.from(name).toString("latin1");
}
