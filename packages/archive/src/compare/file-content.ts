import { readSync } from "node:fs";
import { ENXIO, type FileStat, SEEK_DATA, SEEK_HOLE, tryLseek } from "@varve/syscalls";
import type { SparsePiece } from "../tar/tar-sparse.ts";
import { type FileEntry, pathOf } from "./tree-entry.ts";
import { atPath } from "./tree-error.ts";

/** Reads once from an open file, and answers how many bytes; at the current position if none is given. */
export function readContent(fd: number, entry: FileEntry, target: Uint8Array, position: number | null): number {
  try {
    return readSync(fd, target, 0, target.length, position);
  } catch (error) {
    throw atPath(pathOf(entry), error);
  }
}

/**
 * Where an open file can have anything but zeros, by what the filesystem says of its holes: in order, and nothing is read. The
 * whole file where the filesystem does not tell.
 */
export function* dataRanges(fd: number, stat: FileStat): Generator<SparsePiece, void, undefined> {
  const { size, blocks } = stat;
  const holes = blocks * 512 < size;
  for (let at = 0; at < size;) {
    const offset = holes ? tryLseek(fd, at, SEEK_DATA) : at;
    if (offset === -ENXIO || offset >= size) return;
    const end = holes && offset >= at ? tryLseek(fd, offset, SEEK_HOLE) : size;
    const start = offset < at ? at : offset;
    // A filesystem that answers otherwise than it should is asked no more.
    at = end > start ? Math.min(end, size) : size;
    yield { offset: start, length: at - start };
  }
}
