import type { Digest } from "@varve/digest";
import { CodedError, hasCode } from "@varve/errors";
import type { ErrorCode } from "@varve/errors";
import type { CallOptions, Layer, LayerStore } from "../layer-store.ts";
import { importContainer } from "./import-container.ts";
import type { ContainerWork } from "./import-container.ts";
import { brokenContainer, readContainers } from "./containers.ts";
import type { BrokenMobyContainer, MobyContainer } from "./containers.ts";
import { brokenLayer, emptyLayer, readLayerdb } from "./layerdb.ts";
import type { BrokenMobyLayer, MobyLayer } from "./layerdb.ts";
import type { MobySource } from "./source.ts";
import { mobyTar } from "./exact-tar.ts";
import { importsRW } from "../read-write/import.ts";
import type { ImportRW } from "../read-write/import.ts";
import type { RWLayer } from "../read-write/rw-layer.ts";

export interface ImportMobyOptions extends CallOptions, MobySource {
  /** The directory that has `sha256` in it: `image/overlay2/layerdb` in moby's root. */
  readonly layerdb: string;
  /** Called with each layer as it is there, or known to be broken; what is below comes first. The reference is the caller's. */
  readonly onLayer?: ((layer: BrokenMobyLayer | Layer) => void) | undefined;
  /**
   * Brings over what containers have changed, too: each becomes a read-write layer of the same name. Needs a store with a comparer,
   * and a moby that runs as root without `userns-remap`, for owners come over as they are on disk. Default: false.
   */
  readonly containers?: boolean | undefined;
  /** Called with each container's layer as it is there, or known to be broken. The reference is the caller's. */
  readonly onContainer?: ((container: BrokenMobyContainer | RWLayer) => void) | undefined;
}

/** What came of an import. */
export interface MobyImport {
  /** A reference to each layer, those below first. They end with the store, if they are not released, and the layers stay. */
  readonly layers: readonly Layer[];
  readonly broken: readonly BrokenMobyLayer[];
  /** A reference to the read-write layer of each container that was asked for, by name. */
  readonly containers: readonly RWLayer[];
  /** Those that cannot be had, or whose name is in use (ERR_ALREADY_EXISTS). */
  readonly brokenContainers: readonly BrokenMobyContainer[];
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
const codesOfContainers: readonly ErrorCode[] = [...codesOfLayers, "ERR_ALREADY_EXISTS"];

/**
 * Registers the read-only layers of a moby's store, which is only read and should not be at work meanwhile. Each comes from the exact
 * archive that moby would give, held against its diff ID. A layer that is there already is not read. What is broken is left out, with
 * all that stands on it. After an error or an abort the layers that are done stay.
 *
 * @throws ERR_NOT_FOUND there is no layerdb
 * @throws ERR_NOT_IMPLEMENTED `containers` of a store that has no comparer
 */
export async function importMobyLayers(store: LayerStore, options: ImportMobyOptions): Promise<MobyImport> {
  const importer = new MobyImporter(store, options);
  await importer.run();
  const { broken, brokenContainers, containers, layers } = importer;
  return { layers, broken: [...broken.values()], containers, brokenContainers };
}

/** One import of one moby's store. */
class MobyImporter {
  readonly layers: Layer[] = [];
  readonly broken = new Map<Digest, BrokenMobyLayer>();
  readonly containers: RWLayer[] = [];
  readonly brokenContainers: BrokenMobyContainer[] = [];
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
    // Not after all layers are there.
    const importRW = this.#options.containers === true ? importerOf(this.#store) : undefined;
    const found = new Map<Digest, MobyLayer>();
    for await (const layer of readLayerdb(layerdb, signal)) {
      if ("error" in layer) this.#tell(layer);
      else found.set(layer.chainId, layer);
    }
    for (const layer of bottomUp(found, this.broken)) {
      signal?.throwIfAborted();
      this.#tell(this.#onBroken(layer) ?? (await this.#existing(layer)) ?? (await this.#register(layer)));
    }
    if (importRW === undefined) return;
    const layerOf = (chainId: Digest): MobyLayer | undefined => layerIn(found, this.broken, chainId);
    await this.#runContainers({ source: this.#options, layerOf, importRW, signal });
  }

  async #runContainers(work: ContainerWork): Promise<void> {
    const taken = new Set<string>();
    for await (const { name } of this.#store.listRWLayers(work)) taken.add(name);
    for await (const container of readContainers(work.source.layerdb, work.signal)) {
      const made = "error" in container ? container : await this.#makeContainer(container, work, taken);
      if ("error" in made) this.brokenContainers.push(made);
      else this.containers.push(made);
      this.#options.onContainer?.(made);
    }
  }

  async #makeContainer(
    container: MobyContainer,
    work: ContainerWork,
    taken: ReadonlySet<string>,
  ): Promise<BrokenMobyContainer | RWLayer> {
    const { name, parent } = container;
    try {
      // Sooner than the store would: it takes long to find out what a container has changed.
      if (taken.has(name)) throw new CodedError("ERR_ALREADY_EXISTS", `read-write layer ${name}: already exists`);
      if (parent === emptyLayer.chainId) await this.#makeEmptyLayer();
      const reason = parent === undefined ? undefined : this.#reasons.get(parent);
      if (reason === undefined) return await importContainer(container, work);
      const why = `container ${name}: its parent ${parent} is broken`;
      throw new CodedError("ERR_FAILED_PRECONDITION", why, { cause: reason });
    } catch (error) {
      work.signal?.throwIfAborted();
      if (codesOfContainers.some((code) => hasCode(error, code))) return brokenContainer(name, error);
      throw error;
    }
  }

  #tell(layer: BrokenMobyLayer | Layer): void {
    if ("error" in layer) {
      this.broken.set(layer.chainId, layer);
      if (!this.#reasons.has(layer.chainId)) this.#reasons.set(layer.chainId, layer.error);
    } else this.layers.push(layer);
    this.#options.onLayer?.(layer);
  }

  /** Perhaps no layer stands on it. */
  async #makeEmptyLayer(): Promise<void> {
    const { chainId } = emptyLayer;
    if (this.broken.has(chainId) || this.layers.some((layer) => layer.chainId === chainId)) return;
    this.#tell((await this.#existing(emptyLayer)) ?? (await this.#register(emptyLayer)));
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
  const known = (chainId: Digest | undefined): MobyLayer | undefined =>
    chainId === undefined ? undefined : layerIn(found, broken, chainId);
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

function layerIn(
  found: ReadonlyMap<Digest, MobyLayer>,
  broken: ReadonlyMap<Digest, unknown>,
  chainId: Digest,
): MobyLayer | undefined {
  // It is built in: others may stand on it though it has no directory.
  return found.get(chainId) ?? (chainId === emptyLayer.chainId && !broken.has(chainId) ? emptyLayer : undefined);
}

function importerOf(store: LayerStore): ImportRW {
  if (importsRW(store)) return store.rwImporter();
  throw new CodedError("ERR_INVALID_ARGUMENT", "layer store: not one that openLayerStore has opened");
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
