import { chainIds } from "@varve/digest";
import type { Digest } from "@varve/digest";
import type { LayerInfo } from "@varve/layers";
import { layerAnswer, listAnswer, nothing, removedAnswer, rwAnswer, tarAnswer } from "./layer-operation.ts";
import type { Answer, Commit, Operation, Registration, StoreOperation, Write } from "./layer-operation.ts";
import { LayerState } from "./layer-state.ts";
import type { Choices } from "./random-operation.ts";
import * as rw from "./rw-model.ts";
import { tinyArchive } from "./tiny-archives.ts";

export const deepest = 4;
const refused: Answer = "ERR_FAILED_PRECONDITION";

/** What a layer store must answer, in memory: chains, read-write layers, and who refers to them (S1.10 to S1.49). */
export class LayerModel {
  readonly state: LayerState;

  constructor(state: LayerState = new LayerState()) {
    this.state = state;
  }

  clone(): LayerModel {
    return new LayerModel(new LayerState(this.state));
  }

  get layers(): readonly LayerInfo[] {
    return [...this.state.layers.values()].toSorted((a, b) => (a.chainId < b.chainId ? -1 : 1));
  }

  choices(stores: readonly number[], gone: readonly number[]): Choices {
    const { references, rwReferences, stores: open } = this.state;
    return {
      stores,
      isOpen: (store) => open.has(store),
      chains: this.layers.map(({ chainId }) => chainId),
      references: [...references.keys(), ...gone],
      rwReferences: [...rwReferences.keys()],
    };
  }

  /** The first part of a call; there is no answer yet if it has a second one. Whoever is killed may have done none, one, or both. */
  begin(operation: Operation): Answer | undefined {
    if ("reference" in operation) return this.#beginWithReference(operation);
    if (operation.kind === "open") this.state.stores.add(operation.store);
    if (!this.state.stores.has(operation.store)) return refused;
    if (operation.kind === "register") return this.#keepParent(operation, operation.parent, operation.store);
    if (operation.kind === "create") return rw.beginCreation(this.state, operation);
    if (operation.kind === "getRW") return rw.referToRW(this.state, operation);
    if (operation.kind === "get" || operation.kind === "stat") return this.#get(operation);
    return this.#beginWithStore(operation);
  }

  /** The rest of a call. */
  end(operation: Operation): Answer {
    if (operation.kind === "register") return this.#register(operation);
    if (operation.kind === "create") return rw.endCreation(this.state, operation);
    if (operation.kind === "open" || operation.kind === "cleanup") return this.#completeAll();
    if (operation.kind === "commit") return this.#commit(operation);
    if (operation.kind === "write") return this.#written(operation);
    if (operation.kind === "release") return rw.endRWRelease(this.state, operation.reference);
    throw new Error(`${operation.kind} has no second part`);
  }

  #beginWithReference(operation: Extract<Operation, { reference: number }>): Answer | undefined {
    const held = rw.heldRW(this.state, operation.reference);
    if (held !== undefined) return this.#beginWithRW(operation, held);
    const { kind, reference } = operation;
    const chain = this.state.references.get(reference)?.chain;
    const layer = chain === undefined ? undefined : this.state.layers.get(chain);
    if (layer === undefined || (kind !== "tar" && kind !== "release")) return refused;
    if (kind === "tar") return tarAnswer(layer.diffId);
    this.state.references.delete(reference);
    return removedAnswer(this.state.collect(layer.chainId));
  }

  #beginWithRW(operation: Extract<Operation, { reference: number }>, held: rw.HeldRW): Answer | undefined {
    const { kind, reference } = operation;
    if (kind === "write") rw.writeFile(this.state, held, operation, 0);
    else if (kind === "release") return rw.beginRWRelease(this.state, reference, held);
    else if (kind === "commit") return this.#keepParent(operation, held.layer.parent, held.reference.store);
    else return rw.askRW(this.state, operation, held);
    return undefined;
  }

  #beginWithStore({ kind, store }: StoreOperation): Answer | undefined {
    if (kind === "list") return this.#list();
    if (kind === "close") this.state.endStores([store]);
    else this.#completeOne();
    return kind === "close" ? nothing : undefined;
  }

  #get(operation: Extract<Operation, { chain: Digest }>): Answer {
    const layer = this.state.layers.get(operation.chain);
    if (layer === undefined) return "ERR_NOT_FOUND";
    const { chainId: chain } = layer;
    if (operation.kind === "get") this.state.references.set(operation.id, { store: operation.store, chain });
    return layerAnswer(layer);
  }

  #list(): Answer {
    const ready = [...this.state.rwLayers.values()].filter(({ state }) => state === "ready");
    const named = ready
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ name, parent }) => rwAnswer(name, parent));
    return listAnswer(this.layers.map(layerAnswer), named);
  }

  #completeOne(): void {
    const left = [...this.state.rwLayers.values()].find(({ state }) => state !== "ready");
    if (left !== undefined) rw.complete(this.state, left.name);
  }

  #completeAll(): Answer {
    for (const name of this.state.rwLayers.keys()) rw.complete(this.state, name);
    return nothing;
  }

  /** Whoever makes a layer refers to its parent meanwhile; nothing is removed when that ends (S1.12, S1.13). */
  #keepParent({ id }: Pick<Registration, "id">, parent: Digest | undefined, store: number): Answer | undefined {
    if (parent === undefined) return undefined;
    const layer = this.state.layers.get(parent);
    if (layer === undefined) return "ERR_NOT_FOUND";
    if (layer.depth >= deepest) return refused;
    this.state.references.set(-id, { store, chain: parent });
    return undefined;
  }

  #register({ archive, id, parent, store }: Registration): Answer {
    this.state.references.delete(-id);
    const { contentBytes: diffSize, diffId } = tinyArchive(archive);
    if (diffId === undefined) return "ERR_INVALID_DATA";
    return this.#addLayer({ diffId, diffSize, parent }, id, store);
  }

  #commit({ diffId, id, reference }: Commit): Answer {
    this.state.references.delete(-id);
    const held = rw.heldRW(this.state, reference);
    if (held === undefined) return refused;
    const { parent } = held.layer;
    return this.#addLayer({ diffId, diffSize: rw.bytesOfRW(held.layer), parent }, id, held.reference.store);
  }

  #addLayer(
    { diffId, diffSize, parent }: Pick<LayerInfo, "diffId" | "diffSize" | "parent">,
    id: number,
    store: number,
  ): Answer {
    const below = parent === undefined ? undefined : this.state.layers.get(parent);
    const chainId = below === undefined ? diffId : (chainIds([below.chainId, diffId])[1] ?? diffId);
    const size = diffSize + (below?.size ?? 0);
    const made = { chainId, diffId, parent, depth: (below?.depth ?? 0) + 1, diffSize, size };
    const layer = this.state.layers.get(chainId) ?? made;
    this.state.layers.set(chainId, layer);
    this.state.references.set(id, { store, chain: chainId });
    return layerAnswer(layer);
  }

  #written(operation: Write): Answer {
    const held = rw.heldRW(this.state, operation.reference);
    if (held === undefined) return refused;
    rw.writeFile(this.state, held, operation, operation.bytes);
    return nothing;
  }
}
