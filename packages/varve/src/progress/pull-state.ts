import type { ProgressEvent } from "@varve/images";
import type { Digest } from "@varve/digest";
import type { Descriptor } from "@varve/oci";
import type { Rows } from "./view.ts";

/** One layer, or one blob, as a progress view shows it. */
export interface LayerState {
  readonly digest: Digest;
  /** Bytes of the blob. */
  readonly size: number;
  fetched: number;
  applied: number;
  phase: "waiting" | "working" | "retrying" | "fetched" | "unpacked" | "exists";
}

/** Nothing more is to be done for it. */
export function isFinished({ phase }: LayerState): boolean {
  return phase === "unpacked" || phase === "exists" || phase === "fetched";
}

/** What the events of one pull, or of one fetch, add up to. */
export class PullState {
  readonly startedAt: number = performance.now();
  readonly rows: Rows;
  name = "";
  readonly layers: LayerState[] = [];
  /** Bytes fetched, manifests and configs included. */
  fetched = 0;
  readonly #byDigest: Map<string, LayerState[]> = new Map();
  readonly #bytes: Map<string, number> = new Map();

  constructor(rows: Rows) {
    this.rows = rows;
  }

  apply(event: ProgressEvent): void {
    if (event.type === "resolved") this.name = event.name;
    else if (event.type === "layers") for (const layer of event.layers) this.#expect(layer);
    // Of a fetch nobody knows beforehand what is in it.
    else if (this.rows === "blobs" && !this.#byDigest.has(event.descriptor.digest)) this.#expect(event.descriptor);
    if (event.type === "fetching" || event.type === "fetched") this.#fetch(event);
    else if (event.type === "exists" && event.what === "blob") this.#find(event.descriptor);
    else if (event.type === "applying") this.#each(event.descriptor, (layer) => (layer.applied = event.bytes));
    else if (event.type === "retry") this.#each(event.descriptor, (layer) => (layer.phase = "retrying"));
    else if (event.type === "committed" || event.type === "exists") this.#finish(event);
  }

  #expect({ digest, size }: Descriptor): void {
    const layer: LayerState = { digest, size, fetched: 0, applied: 0, phase: "waiting" };
    this.layers.push(layer);
    const same = this.#byDigest.get(digest);
    if (same === undefined) this.#byDigest.set(digest, [layer]);
    else same.push(layer);
  }

  #fetch(event: ProgressEvent & { type: "fetching" | "fetched" }): void {
    const { digest, size } = event.descriptor;
    const bytes = event.type === "fetched" ? size : event.bytes;
    this.fetched += Math.max(0, bytes - (this.#bytes.get(digest) ?? 0));
    this.#bytes.set(digest, bytes);
    this.#each(event.descriptor, (layer) => {
      layer.fetched = bytes;
      if (layer.phase === "waiting" || layer.phase === "retrying") layer.phase = "working";
      if (this.rows === "blobs" && event.type === "fetched") layer.phase = "fetched";
    });
  }

  /** A blob that is stored needs no fetching, but its layer may have to be unpacked. */
  #find(descriptor: Descriptor): void {
    this.#each(descriptor, (layer) => {
      layer.fetched = layer.size;
      if (this.rows === "blobs") layer.phase = "exists";
    });
  }

  /** Of two layers with one digest, the one that is not finished yet is meant. */
  #finish(event: ProgressEvent & { type: "committed" | "exists" }): void {
    const layer = this.#byDigest.get(event.descriptor.digest)?.find((one) => !isFinished(one));
    if (layer === undefined) return;
    layer.phase = event.type === "committed" ? "unpacked" : "exists";
    layer.fetched = layer.size;
    layer.applied = layer.size;
  }

  #each(descriptor: Descriptor, change: (layer: LayerState) => void): void {
    for (const layer of this.#byDigest.get(descriptor.digest) ?? []) if (!isFinished(layer)) change(layer);
  }
}
