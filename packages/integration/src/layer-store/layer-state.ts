import type { Digest } from "@varve/digest";
import type { LayerInfo } from "@varve/layers";

export interface ModelReference {
  readonly store: number;
  readonly chain: Digest;
}

export interface ModelRWReference {
  readonly store: number;
  readonly name: string;
  readonly mounts: number;
}

/** `making` and `going` are what a killed process leaves, until somebody cleans up. */
export interface ModelRWLayer {
  readonly name: string;
  readonly parent: Digest | undefined;
  readonly hasInit: boolean;
  readonly state: "making" | "ready" | "going";
  /** Bytes of the files that were written to it. */
  readonly files: Readonly<Record<string, number>>;
}

/** What there is, as far as a caller can tell. Values are never changed, but replaced. */
export class LayerState {
  readonly stores: Set<number>;
  readonly layers: Map<Digest, LayerInfo>;
  readonly references: Map<number, ModelReference>;
  readonly rwLayers: Map<string, ModelRWLayer>;
  readonly rwReferences: Map<number, ModelRWReference>;

  constructor(from?: LayerState) {
    this.stores = new Set(from?.stores);
    this.layers = new Map(from?.layers);
    this.references = new Map(from?.references);
    this.rwLayers = new Map(from?.rwLayers);
    this.rwReferences = new Map(from?.rwReferences);
  }

  /** The same text for the same state. */
  text(): string {
    const all = [this.layers, this.references, this.rwLayers, this.rwReferences].map((map) => [...map].toSorted(byKey));
    return JSON.stringify([[...this.stores].toSorted((a, b) => a - b), ...all]);
  }

  /** Ends the references that were taken through some stores (S1.34). Nothing is removed by that. */
  endStores(stores: readonly number[]): void {
    for (const store of stores) this.stores.delete(store);
    for (const references of [this.references, this.rwReferences]) {
      for (const [id, { store }] of references) if (stores.includes(store)) references.delete(id);
    }
  }

  /** Removes what nobody wants any more, from a layer down (S1.35). @returns what that was */
  collect(chain: Digest | undefined): readonly LayerInfo[] {
    const removed: LayerInfo[] = [];
    for (let next = this.#layer(chain); next !== undefined && !this.#isWanted(next.chainId);) {
      removed.push(next);
      this.layers.delete(next.chainId);
      next = this.#layer(next.parent);
    }
    return removed;
  }

  #layer(chain: Digest | undefined): LayerInfo | undefined {
    return chain === undefined ? undefined : this.layers.get(chain);
  }

  #isWanted(chainId: Digest): boolean {
    return (
      [...this.references.values()].some(({ chain }) => chain === chainId) ||
      [...this.layers.values(), ...this.rwLayers.values()].some(({ parent }) => parent === chainId)
    );
  }
}

function byKey([a]: readonly [number | string, unknown], [b]: readonly [number | string, unknown]): number {
  return a < b ? -1 : 1;
}
