import { chainIds } from "@varve/digest";
import type { Digest } from "@varve/digest";
import type { LayerInfo } from "@varve/layers";
import { layerAnswer, nothing, removedAnswer, tarAnswer } from "./layer-operation.ts";
import type { Answer, Choices, Operation } from "./layer-operation.ts";
import { tinyArchive } from "./tiny-archives.ts";

type Registration = Extract<Operation, { kind: "register" }>;

interface Reference {
  readonly store: number;
  readonly chain: Digest;
}

export const deepest = 4;

/** What a layer store must answer, in memory: chains, and who refers to them (S1.10 to S1.35). */
export class LayerModel {
  readonly #layers: Map<Digest, LayerInfo>;
  readonly #references: Map<number, Reference>;
  readonly #stores: Set<number>;

  constructor(
    layers: Iterable<LayerInfo> = [],
    references: Iterable<readonly [number, Reference]> = [],
    stores: Iterable<number> = [],
  ) {
    this.#layers = new Map(Array.from(layers, (layer) => [layer.chainId, layer]));
    this.#references = new Map(references);
    this.#stores = new Set(stores);
  }

  clone(): LayerModel {
    return new LayerModel(this.#layers.values(), this.#references, this.#stores);
  }

  /** As after the end of the processes that had it open. */
  withoutProcesses(): LayerModel {
    return new LayerModel(this.#layers.values());
  }

  get layers(): readonly LayerInfo[] {
    return [...this.#layers.values()].toSorted((a, b) => (a.chainId < b.chainId ? -1 : 1));
  }

  get references(): readonly number[] {
    return [...this.#references.keys()];
  }

  isOpen(store: number): boolean {
    return this.#stores.has(store);
  }

  choices(stores: readonly number[], gone: readonly number[] = []): Choices {
    return {
      stores,
      isOpen: (store) => this.isOpen(store),
      chains: this.layers.map(({ chainId }) => chainId),
      references: [...this.references, ...gone],
    };
  }

  perform(operation: Operation): Answer {
    return this.begin(operation) ?? this.end(operation);
  }

  /** All of a call, but the first part of a registration, which keeps its parent meanwhile: then there is no answer yet. */
  begin(operation: Operation): Answer | undefined {
    if ("reference" in operation) return this.#withReference(operation.kind, operation.reference);
    const { store } = operation;
    if (operation.kind === "open") return this.#open(store);
    if (!this.#stores.has(store)) return "ERR_FAILED_PRECONDITION";
    if (operation.kind === "close") return this.#close(store);
    if (operation.kind === "register") return this.#keepParent(operation);
    const layer = this.#layers.get(operation.chain);
    if (layer === undefined) return "ERR_NOT_FOUND";
    if (operation.kind === "get") this.#references.set(operation.id, { store, chain: layer.chainId });
    return layerAnswer(layer);
  }

  /** The rest of a registration. */
  end(operation: Operation): Answer {
    if (operation.kind !== "register") throw new Error(`${operation.kind} has no second part`);
    const { id, store, parent } = operation;
    const { contentBytes: diffSize, diffId } = tinyArchive(operation.archive);
    const below = parent === undefined ? undefined : this.#layers.get(parent);
    // Nobody else may refer to the parent any more, but nothing is removed by that.
    this.#references.delete(-id);
    if (diffId === undefined) return "ERR_INVALID_DATA";
    const chainId = below === undefined ? diffId : (chainIds([below.chainId, diffId])[1] ?? diffId);
    const size = diffSize + (below?.size ?? 0);
    const made = { chainId, diffId, parent, depth: (below?.depth ?? 0) + 1, diffSize, size };
    const layer = this.#layers.get(chainId) ?? made;
    this.#layers.set(chainId, layer);
    this.#references.set(id, { store, chain: chainId });
    return layerAnswer(layer);
  }

  #keepParent({ id, store, parent }: Registration): Answer | undefined {
    if (parent === undefined) return undefined;
    const layer = this.#layers.get(parent);
    if (layer === undefined) return "ERR_NOT_FOUND";
    if (layer.depth >= deepest) return "ERR_FAILED_PRECONDITION";
    this.#references.set(-id, { store, chain: parent });
    return undefined;
  }

  #withReference(kind: "release" | "tar", id: number): Answer {
    const chain = this.#references.get(id)?.chain;
    const layer = chain === undefined ? undefined : this.#layers.get(chain);
    if (layer === undefined) return "ERR_FAILED_PRECONDITION";
    return kind === "tar" ? tarAnswer(layer.diffId) : this.#release(id, layer);
  }

  #release(id: number, layer: LayerInfo): Answer {
    this.#references.delete(id);
    const removed: LayerInfo[] = [];
    for (let next: LayerInfo | undefined = layer; next !== undefined && !this.#isWanted(next.chainId);) {
      removed.push(next);
      this.#layers.delete(next.chainId);
      next = next.parent === undefined ? undefined : this.#layers.get(next.parent);
    }
    return removedAnswer(removed);
  }

  #isWanted(chainId: Digest): boolean {
    return (
      [...this.#references.values()].some(({ chain }) => chain === chainId) ||
      [...this.#layers.values()].some(({ parent }) => parent === chainId)
    );
  }

  #open(store: number): Answer {
    this.#stores.add(store);
    return nothing;
  }

  #close(store: number): Answer {
    this.#stores.delete(store);
    for (const [id, reference] of this.#references) if (reference.store === store) this.#references.delete(id);
    return nothing;
  }
}
