import type { Item } from "./layer-of.ts";
import { opaque, whiteout } from "./layer-of.ts";

type Type = NonNullable<Item["type"]>;

/** Few, so that most entries meet something that is there. */
const names = ["a", "b", "c", "d", "e", "f", "caf\u{e9}", "n".repeat(120), " ", "e\n"];

export interface RandomEntryOptions {
  /** What it may be; a type that is there twice is twice as likely. */
  readonly types: readonly Type[];
  /** Most names in a path. */
  readonly depth: number;
  /** One of so many is a whiteout. */
  readonly whiteouts: number;
  /** One of so many is an opaque marker. */
  readonly opaques: number;
  /** Half of the longest file. */
  readonly size: number;
}

/** One entry, with a name that others may have, too. */
export function randomEntry(random: () => number, options: RandomEntryOptions): Item {
  const { depth, opaques, size, types, whiteouts } = options;
  const below = (count: number): number => Math.floor(random() * count);
  const name = (): string => Array.from({ length: 1 + below(depth) }, () => names[below(names.length)]).join("/");
  if (below(whiteouts) === 0) return whiteout(name());
  if (below(opaques) === 0) return opaque(name());
  const type = types[below(types.length)] ?? "file";
  const takesAttributes = below(5) === 0 && (type === "file" || type === "directory");
  return {
    name: Buffer.from(name(), below(2) === 0 ? "latin1" : "utf8"),
    type,
    link: type === "symlink" || type === "hardlink" ? name() : undefined,
    content: type === "file" ? String.fromCodePoint(97 + below(26)).repeat(below(3) * below(size)) : undefined,
    mode: below(0o10000),
    uid: below(2) * below(3_000_000),
    gid: below(70_000),
    mtime: { seconds: below(2_000_000_000), nanoseconds: below(1_000_000_000) },
    deviceMajor: type === "char" ? 1 + below(200) : undefined,
    deviceMinor: type === "char" ? below(70_000) : undefined,
    xattrs: takesAttributes ? new Map([["user.x", Buffer.from([below(256), 0, 0xff])]]) : undefined,
  };
}
