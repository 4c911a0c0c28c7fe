import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { CallOptions } from "../layer-store.ts";
import type { MobyContainer } from "./containers.ts";
import type { MobyLayer } from "./layerdb.ts";
import type { MobySource } from "./source.ts";
import { mobyTrees } from "./trees.ts";
import type { ImportRW, ImportRWOptions } from "../read-write/import.ts";
import type { RWLayer } from "../read-write/rw-layer.ts";

export interface ContainerWork extends CallOptions {
  readonly source: MobySource;
  /** The layer of a chain ID, as moby has it. */
  readonly layerOf: (chainId: Digest) => MobyLayer | undefined;
  readonly importRW: ImportRW;
}

/** Makes a read-write layer of what a container's layer and its init layer change on what is below. */
export async function importContainer(
  { name, mountId, initId, parent }: MobyContainer,
  { source, layerOf, importRW, signal }: ContainerWork,
): Promise<RWLayer> {
  const subject = `container ${name}`;
  const below = cacheIdsOf(parent, layerOf, subject);
  const onInit = initId === undefined ? below : [initId, ...below];
  const compared =
    (cacheIds: readonly string[]): ImportRWOptions["changes"] =>
    (comparer, options) =>
      mobyTrees(source.driver, cacheIds, ({ lower, upper }) => comparer.archiveChanges(lower, upper, options), subject);
  return importRW(name, {
    parent,
    init: initId === undefined ? undefined : compared(onInit),
    changes: compared([mountId, ...onInit]),
    signal,
  });
}

/** What the driver calls a layer and all below it, the topmost first. The empty layer that is built in has no files. */
function cacheIdsOf(parent: Digest | undefined, layerOf: ContainerWork["layerOf"], subject: string): readonly string[] {
  const cacheIds: string[] = [];
  for (let chainId = parent; chainId !== undefined;) {
    const layer = layerOf(chainId);
    if (layer === undefined) throw new CodedError("ERR_DATA_LOSS", `${subject}: layer ${chainId} below it is missing`);
    if (layer.cacheId !== undefined) cacheIds.push(layer.cacheId);
    chainId = layer.parent;
  }
  return cacheIds;
}
