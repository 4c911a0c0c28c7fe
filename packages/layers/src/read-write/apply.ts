import { join } from "node:path";
import type { AppliedArchive } from "@varve/diff";
import { rereadable } from "../tar/archive-source.ts";
import type { LayerArchive } from "../layer-store.ts";
import type { AppliedToRW, ApplyToRWOptions } from "./rw-layer.ts";
import { changesOf } from "./names.ts";
import type { ReferredRW, RWRow } from "./rows.ts";
import { runUnmounted } from "./unmounted.ts";
import { withShownTree } from "../tar/shown-tree.ts";
import type { StoreParts } from "../store-parts.ts";
import { asStored } from "./stored-mounts.ts";

/** Unpacks an archive into a layer that is mounted nowhere (S1.76). */
export async function applyToRW(
  parts: StoreParts,
  referred: ReferredRW,
  archive: LayerArchive,
  options: ApplyToRWOptions,
): Promise<AppliedToRW> {
  const apply = (): Promise<AppliedToRW> => unpackInto(parts, referred.layer, archive, options);
  return runUnmounted(parts, referred, apply, { signal: options.signal });
}

/** The same while the name of the layer is locked. */
export async function unpackInto(
  parts: StoreParts,
  layer: RWRow,
  archive: LayerArchive,
  options: ApplyToRWOptions,
): Promise<AppliedToRW> {
  const { signal } = options;
  const mounts = asStored(await parts.snapshotter.mounts(changesOf(layer), { signal }));
  const subject = `read-write layer ${layer.name}`;
  // Shown, and not given as mounts: of an overlay the upper directory would be written, as that of a layer that is empty yet.
  const unpack = (root: string): Promise<AppliedToRW> => unpackAt(parts, root, archive, { ...options, subject });
  return withShownTree(parts, mounts, unpack, signal);
}

/** Unpacks into a directory, where whiteouts remove what is there. */
export async function unpackAt(
  { applier, files }: Pick<StoreParts, "applier" | "files">,
  root: string,
  archive: LayerArchive,
  { onProgress, signal, subject }: ApplyToRWOptions & { readonly subject: string },
): Promise<AppliedToRW> {
  return files.withScratch(async (scratch) => {
    const { bytes, close } = rereadable(archive, join(scratch, "archive"));
    const records = join(scratch, "records.json.gz");
    const mounts = [{ type: "bind", source: root, options: ["rbind", "rw"] }];
    try {
      return summaryOf(await applier.applyArchive(bytes, mounts, { records, onProgress, signal, subject }));
    } finally {
      await close();
    }
  });
}

function summaryOf({ contentBytes, diffId }: AppliedArchive): AppliedToRW {
  return { contentBytes, diffId };
}
