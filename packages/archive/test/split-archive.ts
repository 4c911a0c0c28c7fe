import { createTarSplitter, joinTar, treeFiles } from "@varve/archive";
import type { JoinTarOptions, SplitFiles, SplitSummary, TarSplitterOptions } from "@varve/archive";

import { expect } from "vitest";
import { apply, isRoot, Sandbox } from "./sandbox.ts";
import { type Spec, tar } from "./tar-builder.ts";

export interface Split extends SplitSummary {
  /** The record file. */
  readonly bytes: Buffer;
  /** Its lines, parsed. */
  readonly lines: readonly Line[];
}

export interface Line {
  readonly type: number;
  readonly name?: string;
  readonly name_raw?: string;
  readonly size?: number;
  readonly payload: string | null;
  readonly position: number;
}

/** Records an archive that comes in pieces of some sizes. */
export function split(
  archive: Buffer,
  options: TarSplitterOptions = {},
  sizes: readonly number[] = [archive.length || 1],
): Split {
  const stretches: Uint8Array[] = [];
  const splitter = createTarSplitter((records) => stretches.push(records), options);
  for (let at = 0, turn = 0; at < archive.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1;
    // The bytes are gone when the call returns.
    const block = Buffer.from(archive.subarray(at, at + size));
    splitter.write(block);
    block.fill(0xee);
    at += size;
  }
  const summary = splitter.end();
  const bytes = Buffer.concat(stretches);
  return { ...summary, bytes, lines: linesOf(bytes) };
}

export function linesOf(records: Buffer): Line[] {
  return records
    .toString()
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line));
}

/** Puts lines back to bytes, numbered anew. */
export function bytesOf(lines: readonly Line[]): Buffer {
  return Buffer.from(lines.map((line, position) => `${JSON.stringify({ ...line, position })}\n`).join(""));
}

/** Rebuilds an archive from records that come in pieces of some size. */
export async function join(
  records: Buffer,
  files: SplitFiles,
  options: JoinTarOptions = {},
  size: number = records.length || 1,
): Promise<Buffer> {
  const blocks: Uint8Array[] = [];
  for await (const block of joinTar(inPieces(records, size), files, options)) blocks.push(Buffer.from(block));
  return Buffer.concat(blocks);
}

export async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += size) {
    const piece = Buffer.from(bytes.subarray(at, at + size));
    yield await Promise.resolve(piece);
    piece.fill(0xee);
  }
}

/** Files that are only in memory. */
export function inMemory(contents: Readonly<Record<string, string>>): SplitFiles {
  return {
    open: (name) => {
      const content = contents[name.toString()];
      if (content === undefined) return "is gone";
      const bytes = Buffer.from(content);
      let at = 0;
      return {
        size: bytes.length,
        identity: name.toString("hex"),
        read: (target) => {
          // Less than was asked for, as the kernel may.
          const length = Math.min(target.length, 5, bytes.length - at);
          target.set(bytes.subarray(at, at + length));
          at += length;
          return length;
        },
        close: () => undefined,
      };
    },
    close: () => undefined,
  };
}

export interface Unpacked extends Split, Disposable {
  readonly archive: Buffer;
  readonly root: string;
  readonly files: SplitFiles;
}

/** Unpacks entries and splits them. */
export function unpack(...specs: readonly Spec[]): Unpacked {
  const box = new Sandbox();
  const root = box.directory();
  const archive = tar(...specs);
  apply(archive, root, { ownership: isRoot ? "keep" : "skip" });
  const files = treeFiles(root);
  const dispose = (): void => {
    files.close();
    box[Symbol.dispose]();
  };
  return { ...split(archive), archive, root, files, [Symbol.dispose]: dispose };
}

/** An error that looks like this. */
export const failure = (code: string, message: RegExp | string): unknown =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });
