import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { treeFiles } from "@varve/archive";
import type { TreeChange } from "@varve/diff";
import { readOnlyMounts } from "@varve/mount";
import type { Mount } from "@varve/mount";
import { comparerOf } from "../comparer-of.ts";
import type { CallOptions } from "../layer-store.ts";
import { registerLayer } from "../register-layer.ts";
import type { Referred } from "../layer-rows.ts";
import type { CommitRWLayerOptions } from "./rw-layer.ts";
import { belowOf, changesOf } from "./names.ts";
import type { RWRow } from "./rows.ts";
import { withShownTree } from "../tar/shown-tree.ts";
import type { StoreParts } from "../store-parts.ts";
import { asStored } from "./stored-mounts.ts";
import { viewedStream } from "../tar/viewed-stream.ts";

/** Files that are looked at, without a wait, before other work of this process has its turn. */
const turnFiles = 500;

export function changesOfRW(
  parts: StoreParts,
  layer: RWRow,
  { signal }: CallOptions,
): AsyncGenerator<TreeChange, void, undefined> {
  const comparer = comparerOf(parts);
  return compared(parts, layer, (lower, upper) => comparer.changes(lower, upper, { signal }), signal);
}

export function tarStreamOfRW(
  parts: StoreParts,
  layer: RWRow,
  { signal }: CallOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const comparer = comparerOf(parts);
  return compared(parts, layer, (lower, upper) => comparer.archiveChanges(lower, upper, { signal }), signal);
}

/** The bytes of the files that `changes` names: what a commit would have as its size. */
export async function sizeOfRW(parts: StoreParts, layer: RWRow, options: CallOptions): Promise<number> {
  const changes = changesOfRW(parts, layer, options);
  const mounts = readOnlyMounts(asStored(await parts.snapshotter.mounts(changesOf(layer), options)));
  const measure = async (root: string): Promise<number> => {
    const files = treeFiles(root);
    try {
      return await sizeOf(changes, files);
    } finally {
      files.close();
    }
  };
  return withShownTree(parts, mounts, measure, options.signal);
}

/** Registers the changes on the parent. What `init` has made is below neither of the two (S1.76). */
export async function commitRW(parts: StoreParts, layer: RWRow, options: CommitRWLayerOptions): Promise<Referred> {
  const { descriptor, signal } = options;
  return parts.files.withScratch(async (scratch) => {
    const path = join(scratch, "changes.tar");
    // Into a file first: who compares and who unpacks may have one thread between them.
    await keepStream(tarStreamOfRW(parts, layer, { signal }), path);
    return registerLayer(parts, () => createReadStream(path), { parent: layer.parent, descriptor, signal });
  });
}

/** Writes a stream into a new file. */
export async function keepStream(chunks: AsyncIterable<Uint8Array>, path: string): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    // Not by a stream, which would still have a chunk when the next one takes its memory.
    for await (const chunk of chunks) await file.writeFile(chunk);
  } finally {
    await file.close();
  }
}

async function sizeOf(changes: AsyncIterable<TreeChange>, files: ReturnType<typeof treeFiles>): Promise<number> {
  const counted = new Set<string>();
  let size = 0;
  let looked = 0;
  for await (const { kind, path } of changes) {
    if (kind === "deleted") continue;
    looked += 1;
    if (looked % turnFiles === 0) await nextTurn();
    const file = files.open(path);
    // What is no regular file has no content.
    if (typeof file === "string") continue;
    if (!counted.has(file.identity)) size += file.size;
    counted.add(file.identity);
    file.close();
  }
  return size;
}

/** What a comparison gives; what the changes stand on is seen through a view meanwhile. */
async function* compared<T>(
  parts: StoreParts,
  layer: RWRow,
  read: (lower: readonly Mount[], upper: readonly Mount[]) => AsyncIterable<T>,
  signal: AbortSignal | undefined,
): AsyncGenerator<T, void, undefined> {
  const upper = asStored(await parts.snapshotter.mounts(changesOf(layer), { signal }));
  const below = belowOf(layer);
  if (below === undefined) yield* read([], upper);
  else yield* viewedStream(parts, below, (lower) => read(lower, upper), signal);
}
