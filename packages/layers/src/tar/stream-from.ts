import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { comparerOf } from "../comparer-of.ts";
import { layerById } from "../layer-rows.ts";
import type { LayerRow } from "../layer-rows.ts";
import type { CallOptions } from "../layer-store.ts";
import type { StoreParts } from "../store-parts.ts";
import { viewedStream } from "./viewed-stream.ts";

/** An archive of what a layer and those below it change on one further down; nothing was recorded of it (S1.73). */
export async function* tarStreamFrom(
  parts: StoreParts,
  layer: LayerRow,
  ancestor: Digest | undefined,
  { signal }: CallOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const comparer = comparerOf(parts);
  if (ancestor !== undefined && !(await standsOn(parts, layer, ancestor, signal))) {
    throw new CodedError("ERR_INVALID_ARGUMENT", `layer ${layer.chainId}: does not stand on ${ancestor}`);
  }
  yield* viewedStream(
    parts,
    layer.chainId,
    (upper) => {
      if (ancestor === undefined) return comparer.archiveChanges([], upper, { signal });
      return viewedStream(parts, ancestor, (lower) => comparer.archiveChanges(lower, upper, { signal }), signal);
    },
    signal,
  );
}

async function standsOn(
  { database }: StoreParts,
  { parentId }: LayerRow,
  ancestor: Digest,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  return database.read((session) => {
    for (let id = parentId; id !== undefined;) {
      const below: LayerRow | undefined = layerById(session, id);
      if (below?.chainId === ancestor) return true;
      id = below?.parentId;
    }
    return false;
  }, signal);
}
