import { createReadStream } from "node:fs";
import { join } from "node:path";
import type { ArchiveComparer } from "@varve/diff";
import type { Digest } from "@varve/digest";
import { comparerOf } from "../comparer-of.ts";
import type { CallOptions, LayerStore } from "../layer-store.ts";
import { unpackAt, unpackInto } from "./apply.ts";
import { keepStream } from "./compare.ts";
import { createRW } from "./create.ts";
import type { RWLayer } from "./rw-layer.ts";
import type { ReferredRW } from "./rows.ts";
import type { StoreParts } from "../store-parts.ts";

/** An archive that a comparison gives. */
type Compared = (comparer: ArchiveComparer, options: CallOptions) => AsyncIterable<Uint8Array>;

export interface ImportRWOptions extends CallOptions {
  readonly parent: Digest | undefined;
  /** What the layer in between holds. */
  readonly init: Compared | undefined;
  readonly changes: Compared;
}

/** Makes a read-write layer of archives, or leaves nothing. */
export type ImportRW = (name: string, options: ImportRWOptions) => Promise<RWLayer>;

/** What a store can do for imports, and nobody else needs. */
export interface RWImporter {
  /** @throws ERR_NOT_IMPLEMENTED the store has no comparer */
  rwImporter(): ImportRW;
}

export function importsRW(store: LayerStore): store is LayerStore & RWImporter {
  return "rwImporter" in store;
}

export async function importRW(parts: StoreParts, name: string, options: ImportRWOptions): Promise<ReferredRW> {
  const { parent, signal } = options;
  const comparer = comparerOf(parts);
  const subject = `read-write layer ${name}`;
  return parts.files.withScratch(async (scratch) => {
    // Into files first: who compares and who unpacks may have one thread between them.
    const kept = async (file: string, compared: Compared): Promise<string> => {
      const path = join(scratch, file);
      await keepStream(compared(comparer, { signal }), path);
      return path;
    };
    const init = options.init === undefined ? undefined : await kept("init.tar", options.init);
    const changes = await kept("changes.tar", options.changes);
    return createRW(parts, name, {
      parent,
      signal,
      init:
        init === undefined
          ? undefined
          : async (root) => void (await unpackAt(parts, root, () => createReadStream(init), { subject, signal })),
      fillChanges: (layer) => unpackInto(parts, layer, () => createReadStream(changes), { signal }),
    });
  });
}
