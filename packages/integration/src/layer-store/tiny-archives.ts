import { gzipSync } from "node:zlib";
import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { dir, file, hardlink, layerOf, symlink, whiteout } from "../layers/layer-of.ts";
import type { Item } from "../layers/layer-of.ts";

/** An archive that takes no time to unpack. */
export interface TinyArchive {
  readonly tar: Buffer;
  /** What is registered: the tar, maybe compressed. */
  readonly given: Buffer;
  /** Absent where the archive is malformed. */
  readonly diffId: Digest | undefined;
  readonly contentBytes: number;
}

function archiveOf(items: readonly Item[], compress: (tar: Buffer) => Buffer = (tar) => tar): TinyArchive {
  const tar = layerOf(items);
  const contentBytes = items.reduce((sum, { content = "" }) => sum + Buffer.from(content).length, 0);
  return { tar, given: compress(tar), diffId: digestOf(tar), contentBytes };
}

const plain = archiveOf([file("a", "one")]);

/** Each fits on each: what replaces, hides, links, has nothing in it, names a file twice, and what is no archive. */
export const tinyArchives: readonly TinyArchive[] = [
  plain,
  archiveOf([dir("d"), file("d/b", "two two"), hardlink("h", "d/b")]),
  archiveOf([file("a", "three"), whiteout("d")], (tar) => gzipSync(tar)),
  archiveOf([symlink("l", "a"), file("e", "e".repeat(3000))]),
  archiveOf([]),
  archiveOf([file("x", "first"), file("y", "y"), file("x", "second x")]),
  { tar: plain.tar, given: plain.tar.subarray(0, 513), diffId: undefined, contentBytes: 0 },
];

export function tinyArchive(index: number): TinyArchive {
  const found = tinyArchives[index];
  if (found === undefined) throw new Error(`no archive ${index}`);
  return found;
}
