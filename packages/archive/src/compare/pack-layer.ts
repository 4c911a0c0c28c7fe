import { close, S_IFLNK, S_IFREG } from "@varve/syscalls";
import type { DirectoryNode } from "../apply/directory-node.ts";
import { HeaderEncoder, type HeaderFields } from "../tar/header-encoder.ts";
import { blockBytes } from "../tar/tar-header.ts";
import type { SparsePiece } from "../tar/tar-sparse.ts";
import { maxExtended } from "../tar/tar-writer.ts";
import { BlockOutput } from "../block-output.ts";
import { dataRanges, readContent } from "./file-content.ts";
import { HeaderFactory } from "./header-factory.ts";
import { openTrees } from "./open-trees.ts";
import {
  type DirectoryEntry,
  type FileEntry,
  type Name,
  pathOf,
  type Step,
  type TreeEntry,
  typeOf,
} from "./tree-entry.ts";
import { changedMeanwhile, treeError } from "./tree-error.ts";
import type { TreeReader } from "./tree-reader.ts";
import type { PackOptions, PackSummary, Trees } from "./types.ts";
import { ZeroFinder } from "./zero-finder.ts";

/**
 * Packs what differs between two trees as a layer: applied to the lower tree it gives the upper one. The same trees always
 * give the same bytes. Everything happens in the calling thread, synchronously; a block is valid until the next is taken.
 *
 * @throws ERR_INVALID_DATA a tree holds what no layer can say: a name that starts with `.wh.`, a character device 0:0
 * @throws ERR_FAILED_PRECONDITION a tree changes meanwhile
 * @throws ERR_NOT_IMPLEMENTED with form `overlay`: the directory does not tell by itself what changed, walk the mounted trees;
 * or not Linux
 */
export function* packLayer(trees: Trees, options: PackOptions = {}): Generator<Uint8Array, PackSummary, undefined> {
  const output = new BlockOutput(options.allocate, options.blockSize ?? 256 * 1024);
  const headers = new HeaderFactory(options.sourceDateEpoch);
  const zeros = options.sparse === true ? new ZeroFinder(options.check ?? (() => undefined)) : undefined;
  const open = openTrees(trees, options.check);
  try {
    return yield* new Packer(open.upper, output, headers, zeros).pack(open.steps);
  } finally {
    open.close();
  }
}

class Packer {
  readonly #upper: TreeReader;
  readonly #output: BlockOutput;
  readonly #headers: HeaderFactory;
  /** Absent if zeros are written. */
  readonly #zeros: ZeroFinder | undefined;
  readonly #encoder = new HeaderEncoder();
  /** Directories that have an entry. */
  readonly #written = new WeakSet<DirectoryNode>();
  #entries = 0;
  #sockets = 0;

  constructor(upper: TreeReader, output: BlockOutput, headers: HeaderFactory, zeros: ZeroFinder | undefined) {
    this.#upper = upper;
    this.#output = output;
    this.#headers = headers;
    this.#zeros = zeros;
  }

  *pack(steps: Iterable<Step>): Generator<Uint8Array, PackSummary, undefined> {
    for (const step of steps) yield* this.#step(step);
    yield* this.#output.zeros(2 * blockBytes);
    yield* this.#output.flush();
    return { entries: this.#entries, bytes: this.#output.bytes, skipped: { sockets: this.#sockets } };
  }

  *#step(step: Step): Generator<Uint8Array, void, undefined> {
    if (step.kind === "socket") {
      this.#sockets += 1;
    } else if (step.kind === "deleted") {
      yield* this.#parents(step.parent);
      yield* this.#put(step, this.#headers.marker(step.parent, step.name));
    } else if (step.kind === "emptied") {
      if (step.covered) return;
      yield* this.#parents(step.directory);
      yield* this.#put({ parent: step.directory, name: "" }, this.#headers.marker(step.directory, undefined));
    } else if (step.entry.node === undefined) {
      yield* this.#parents(step.entry.parent);
      yield* this.#file(step.entry, step.linkTo);
    } else {
      if (step.entry.node.parent !== undefined) yield* this.#parents(step.entry.node.parent);
      yield* this.#directory(step.entry);
    }
  }

  /** A directory and those above it, which come before what is in them, once; the root only if it differs. */
  *#parents(directory: DirectoryNode): Generator<Uint8Array, void, undefined> {
    if (this.#written.has(directory)) return;
    const missing: DirectoryNode[] = [];
    for (let node = directory; node.parent !== undefined && !this.#written.has(node); node = node.parent) {
      missing.push(node);
    }
    for (const node of missing.toReversed()) yield* this.#directory({ node, stat: this.#upper.statDirectory(node) });
  }

  *#directory(entry: DirectoryEntry): Generator<Uint8Array, void, undefined> {
    this.#written.add(entry.node);
    yield* this.#put(entry, this.#headers.directory(entry, this.#upper.xattrs(entry)));
  }

  *#file(entry: FileEntry, linkTo: Name | undefined): Generator<Uint8Array, void, undefined> {
    const { stat } = entry;
    if (linkTo !== undefined) {
      yield* this.#put(entry, this.#headers.hardlink(entry, this.#upper.xattrs(entry), linkTo));
    } else if (typeOf(stat) === S_IFREG && stat.size > 0) {
      yield* this.#opened(entry);
    } else {
      const text = typeOf(stat) === S_IFLNK ? this.#upper.link(entry).toString("latin1") : "";
      yield* this.#put(entry, this.#headers.special(entry, this.#upper.xattrs(entry), text));
    }
  }

  *#opened(entry: FileEntry): Generator<Uint8Array, void, undefined> {
    const fd = this.#upper.open(entry);
    try {
      const pieces = this.#zeros?.pieces(fd, entry);
      yield* this.#put(entry, this.#headers.file(entry, this.#upper.xattrsOf(fd, entry), pieces));
      if (pieces === undefined) yield* this.#whole(fd, entry);
      else for (const piece of pieces) yield* this.#content(fd, entry, piece);
      yield* this.#output.zeros(-this.#output.bytes & (blockBytes - 1));
      this.#upper.mustBeSame(fd, entry);
    } finally {
      close(fd);
    }
  }

  /** All of a file; its holes need not be read. */
  *#whole(fd: number, entry: FileEntry): Generator<Uint8Array, void, undefined> {
    let at = 0;
    for (const range of dataRanges(fd, entry.stat)) {
      yield* this.#output.zeros(range.offset - at);
      yield* this.#content(fd, entry, range);
      at = range.offset + range.length;
    }
    yield* this.#output.zeros(entry.stat.size - at);
  }

  /** Reads straight into the blocks that are handed on. */
  *#content(fd: number, entry: FileEntry, piece: SparsePiece): Generator<Uint8Array, void, undefined> {
    const end = piece.offset + piece.length;
    for (let at = piece.offset; at < end;) {
      if (this.#output.room === 0) yield* this.#output.makeRoom();
      const { block, used, room } = this.#output;
      const length = readContent(fd, entry, block.subarray(used, used + Math.min(room, end - at)), at);
      if (length === 0) throw changedMeanwhile(pathOf(entry), "became shorter");
      this.#output.add(length);
      at += length;
    }
  }

  #put(entry: Name | TreeEntry, fields: HeaderFields): Generator<Uint8Array, void, undefined> {
    const headers = this.#encoder.encode(fields);
    if (headers.length > maxExtended) {
      const why = `${headers.length} bytes of names and attributes: more than readers take (${maxExtended})`;
      throw treeError("ERR_INVALID_DATA", pathOf(entry), why);
    }
    this.#entries += 1;
    return this.#output.put(headers);
  }
}
