import { createWriteStream } from "node:fs";
import { rename } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { createTarSplitter, lostFiles, treeFiles } from "@varve/archive";
import { compress, decompress } from "@varve/compression";
import type { Mount, Mounter } from "@varve/mount";
import { withShownTree } from "./shown-tree.ts";

export interface ExactRecordsOptions {
  /** Gives the archive that was applied. */
  readonly archive: () => AsyncIterable<Uint8Array>;
  /** The tree that it was applied to. */
  readonly mounts: readonly Mount[];
  readonly mounter: Mounter;
  readonly mountDirectory: string | undefined;
  /** The file that is replaced. */
  readonly records: string;
  readonly signal: AbortSignal | undefined;
}

/**
 * Records an archive once more whose entries replace others: what a later entry has replaced is in no tree, so that its contents
 * have to be kept in the records.
 */
export async function writeExactRecords(options: ExactRecordsOptions): Promise<void> {
  const { mounts, records, signal } = options;
  const lost = await withShownTree(options, mounts, (root) => lostOffsets(root, options), signal);
  const isLost = ({ offset }: { readonly offset: number }): boolean => lost.has(offset);
  const fresh = `${records}.exact`;
  const packed = compress(recordsOf(options, isLost), { compression: "gzip", level: 1, signal });
  await pipeline(packed, createWriteStream(fresh, { mode: 0o600 }));
  await rename(fresh, records);
}

/** Where in the archive the contents are that the tree has not got. */
async function lostOffsets(root: string, options: ExactRecordsOptions): Promise<ReadonlySet<number>> {
  const offsets = new Set<number>();
  const files = treeFiles(root);
  try {
    // What is lost is what is looked for.
    const records = recordsOf(options, () => false);
    for await (const { offset } of lostFiles(records, files, { signal: options.signal })) offsets.add(offset);
  } finally {
    files.close();
  }
  return offsets;
}

async function* recordsOf(
  { archive, signal }: ExactRecordsOptions,
  inline: (file: { readonly offset: number }) => boolean,
): AsyncGenerator<Uint8Array, void, undefined> {
  let records: Uint8Array[] = [];
  const splitter = createTarSplitter((record) => records.push(record), { inline });
  try {
    for await (const block of decompress(archive(), { signal })) {
      splitter.write(block);
      yield* records;
      records = [];
    }
    splitter.end();
    yield* records;
  } finally {
    splitter.abort();
  }
}
