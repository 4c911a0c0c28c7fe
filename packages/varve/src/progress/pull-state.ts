import type { ProgressEvent } from "@varve/images";
import type { Digest } from "@varve/digest";
import type { Descriptor } from "@varve/oci";

/** One layer as a progress view shows it. */
export interface LayerState {
  readonly digest: Digest;
  /** Bytes of the blob. */
  readonly size: number;
  fetched: number;
  applied: number;
  phase: "waiting" | "working" | "retrying" | "unpacked" | "exists";
}

/** What the events of one pull add up to. */
export class PullState {
  readonly startedAt: number = performance.now();
  name = "";
  layers: readonly LayerState[] = [];
  /** Bytes fetched, manifests and configs included. */
  fetched = 0;
  readonly #byDigest: Map<string, LayerState[]> = new Map();
  readonly #bytes: Map<string, number> = new Map();

  apply(event: ProgressEvent): void {
    if (event.type === "resolved") this.name = event.name;
    else if (event.type === "layers") this.#expect(event.layers);
    else if (event.type === "fetching" || event.type === "fetched") this.#fetch(event);
    else if (event.type === "exists" && event.what === "blob") this.#each(event.descriptor, fillFetched);
    else if (event.type === "applying") this.#each(event.descriptor, (layer) => (layer.applied = event.bytes));
    else if (event.type === "retry") this.#each(event.descriptor, (layer) => (layer.phase = "retrying"));
    else if (event.type === "committed" || event.type === "exists") this.#finish(event);
  }

  #expect(layers: readonly Descriptor[]): void {
    this.layers = layers.map(({ digest, size }) => ({ digest, size, fetched: 0, applied: 0, phase: "waiting" }));
    for (const layer of this.layers) {
      const same = this.#byDigest.get(layer.digest);
      if (same === undefined) this.#byDigest.set(layer.digest, [layer]);
      else same.push(layer);
    }
  }

  #fetch(event: ProgressEvent & { type: "fetching" | "fetched" }): void {
    const { digest, size } = event.descriptor;
    const bytes = event.type === "fetched" ? size : event.bytes;
    this.fetched += Math.max(0, bytes - (this.#bytes.get(digest) ?? 0));
    this.#bytes.set(digest, bytes);
    this.#each(event.descriptor, (layer) => {
      layer.fetched = bytes;
      if (layer.phase === "waiting" || layer.phase === "retrying") layer.phase = "working";
    });
  }

  /** Of two layers with one digest, the one that is not finished yet is meant. */
  #finish(event: ProgressEvent & { type: "committed" | "exists" }): void {
    const same = this.#byDigest.get(event.descriptor.digest) ?? [];
    const layer = same.find(({ phase }) => phase !== "unpacked" && phase !== "exists");
    if (layer === undefined) return;
    layer.phase = event.type === "committed" ? "unpacked" : "exists";
    layer.fetched = layer.size;
    layer.applied = layer.size;
  }

  #each(descriptor: Descriptor, change: (layer: LayerState) => void): void {
    for (const layer of this.#byDigest.get(descriptor.digest) ?? []) {
      if (layer.phase !== "unpacked" && layer.phase !== "exists") change(layer);
    }
  }
}

function fillFetched(layer: LayerState): void {
  layer.fetched = layer.size;
}
