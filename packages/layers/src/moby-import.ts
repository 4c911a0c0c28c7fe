import type { Digest } from "@varve/digest";
import { CodedError, hasCode } from "@varve/errors";
import type { ErrorCode } from "@varve/errors";
import type { CallOptions, Layer, LayerStore } from "./layer-store.ts";
import { brokenLayer, emptyLayer, readLayerdb } from "./moby-layerdb.ts";
import type { BrokenMobyLayer, MobyLayer } from "./moby-layerdb.ts";
import { mobyTar } from "./moby-tar.ts";
import type { MobySource } from "./moby-tar.ts";

export interface ImportMobyOptions extends CallOptions, MobySource {
  /** The directory that has `sha256` in it: `image/overlay2/layerdb` in moby's root. */
  readonly layerdb: string;
  /** Called with each layer as it is there, or known to be broken; what is below comes first. The reference is the caller's. */
  readonly onLayer?: ((layer: BrokenMobyLayer | Layer) => void) | undefined;
}

/** What came of an import. */
export interface MobyImport {
  /** A reference to each layer, those below first. They end with the store, if they are not released, and the layers stay. */
  readonly layers: readonly Layer[];
  readonly broken: readonly BrokenMobyLayer[];
}

/** What may be wrong with one layer; anything else would happen to all. */
const codesOfLayers: readonly ErrorCode[] = [
  "ERR_DATA_LOSS",
  "ERR_FAILED_PRECONDITION",
  "ERR_INVALID_DATA",
  "ERR_NOT_FOUND",
  "ERR_NOT_IMPLEMENTED",
  "ERR_RESOURCE_EXHAUSTED",
];

/**
 * Registers the read-only layers of a moby's store, which is only read and should not be at work meanwhile. Each comes from the exact
 * archive that moby would give, held against its diff ID. A layer that is there already is not read. What is broken is left out, with
 * all that stands on it. After an error or an abort the layers that are done stay.
 *
 * @throws ERR_NOT_FOUND there is no layerdb
 */
export async function importMobyLayers(store: LayerStore, options: ImportMobyOptions): Promise<MobyImport> {
  const importer = new MobyImporter(store, options);
  await importer.run();
  return { layers: importer.layers, broken: [...importer.broken.values()] };
}

/** One import of one moby's store. */
class MobyImporter {
  readonly layers: Layer[] = [];
  readonly broken = new Map<Digest, BrokenMobyLayer>();
  readonly #store: LayerStore;
  readonly #options: ImportMobyOptions;
  /** Of each broken layer the error that it began with, perhaps of one below. */
  readonly #reasons = new Map<Digest, Error>();

  constructor(store: LayerStore, options: ImportMobyOptions) {
    this.#store = store;
    this.#options = options;
  }

  async run(): Promise<void> {
    const { layerdb, signal } = this.#options;
    const found = new Map<Digest, MobyLayer>();
    for await (const layer of readLayerdb(layerdb, signal)) {
      if ("error" in layer) this.#tell(layer);
      else found.set(layer.chainId, layer);
    }
    for (const layer of bottomUp(found, this.broken)) {
      signal?.throwIfAborted();
      this.#tell(this.#onBroken(layer) ?? (await this.#existing(layer)) ?? (await this.#register(layer)));
    }
  }

  #tell(layer: BrokenMobyLayer | Layer): void {
    if ("error" in layer) {
      this.broken.set(layer.chainId, layer);
      if (!this.#reasons.has(layer.chainId)) this.#reasons.set(layer.chainId, layer.error);
    } else this.layers.push(layer);
    this.#options.onLayer?.(layer);
  }

  #onBroken({ chainId, parent }: MobyLayer): BrokenMobyLayer | undefined {
    const reason = parent === undefined ? undefined : this.#reasons.get(parent);
    if (reason === undefined) return undefined;
    // Not each error in the next: a chain may be long.
    this.#reasons.set(chainId, reason);
    const why = `layer ${chainId}: its parent ${parent} is broken`;
    return { chainId, error: new CodedError("ERR_FAILED_PRECONDITION", why, { cause: reason }) };
  }

  async #existing({ chainId }: MobyLayer): Promise<BrokenMobyLayer | Layer | undefined> {
    try {
      return await this.#store.get(chainId, { signal: this.#options.signal });
    } catch (error) {
      if (hasCode(error, "ERR_NOT_FOUND")) return undefined;
      if (hasCode(error, "ERR_DATA_LOSS")) return brokenLayer(chainId, error);
      throw error;
    }
  }

  async #register(layer: MobyLayer): Promise<BrokenMobyLayer | Layer> {
    const { chainId, descriptor, parent } = layer;
    const { signal } = this.#options;
    const failures: unknown[] = [];
    const archive = (): AsyncIterable<Uint8Array> => noting(mobyTar(this.#options, layer, signal), failures);
    try {
      return await this.#store.register(archive, { parent, descriptor, signal });
    } catch (error) {
      signal?.throwIfAborted();
      // What is wrong with moby's files says more than what became of the stream.
      if (failures.length > 0) return brokenLayer(chainId, failures[0]);
      if (!codesOfLayers.some((code) => hasCode(error, code))) throw error;
      if (parent === undefined || !hasCode(error, "ERR_NOT_FOUND")) return brokenLayer(chainId, error);
      const why = `layer ${chainId}: its parent ${parent} is missing`;
      return brokenLayer(chainId, new CodedError("ERR_DATA_LOSS", why, { cause: error }));
    }
  }
}

/** Each layer after the one that it stands on. */
function bottomUp(found: Map<Digest, MobyLayer>, broken: ReadonlyMap<Digest, unknown>): Set<MobyLayer> {
  const ordered = new Set<MobyLayer>();
  const known = (chainId: Digest | undefined): MobyLayer | undefined => {
    if (chainId === undefined) return undefined;
    // It is built in: others may stand on it though it has no directory.
    return found.get(chainId) ?? (chainId === emptyLayer.chainId && !broken.has(chainId) ? emptyLayer : undefined);
  };
  for (const [, top] of [...found].toSorted(([one], [other]) => (one < other ? -1 : 1))) {
    const path: MobyLayer[] = [];
    // No layer is below itself: a chain ID is a hash of the one below.
    for (let at: MobyLayer | undefined = top; at !== undefined && !ordered.has(at); at = known(at.parent)) {
      path.push(at);
    }
    for (const layer of path.toReversed()) ordered.add(layer);
  }
  return ordered;
}

/** Notes what a stream ends with, if it fails. */
async function* noting<T>(source: AsyncIterable<T>, failures: unknown[]): AsyncGenerator<T, void, undefined> {
  try {
    yield* source;
  } catch (error) {
    failures.push(error);
    throw error;
  }
}
