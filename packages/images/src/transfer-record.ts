import { chainIds } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { isLayerType } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import type { ProgressEvent } from "./progress.ts";

// How much an unpack may lag behind its download and still be the one that waits: what lies in buffers between them.
const slack = 1024 * 1024;

/** What is remembered of a blob. Times are those of the record's clock. */
export interface BlobRecord {
  readonly digest: Digest;
  readonly size: number;
  readonly isLayer: boolean;
  /** The first that was heard of it. */
  readonly seenAt: number;
  /** When its transfer got its place. */
  startedAt?: number | undefined;
  /** When it was stored, or found to be. */
  endedAt?: number | undefined;
  end?: "fetched" | "exists" | undefined;
  /** Bytes that it has by now. */
  bytes: number;
  /** Bytes of this attempt that were there before it. */
  resumed: number;
  /** Bytes that came over the network, those of failed attempts included. */
  moved: number;
}

/** What is remembered of a layer that is unpacked. */
export interface LayerRecord {
  readonly digest: Digest;
  readonly size: number;
  readonly below: LayerRecord | undefined;
  readonly seenAt: number;
  /** When its first bytes were applied. */
  startedAt?: number | undefined;
  applied: number;
  /** When all that had been fetched was applied, for the last time. */
  idleAt?: number | undefined;
  appliedAt?: number | undefined;
  /** When it began to wait for another owner of the same work. */
  waitedAt?: number | undefined;
  endedAt?: number | undefined;
  end?: "committed" | "exists" | undefined;
}

/** When what happened to the objects of one transfer, from its events. */
export class TransferRecord {
  readonly blobs: Map<Digest, BlobRecord> = new Map();
  readonly layers: LayerRecord[] = [];
  resolvedAt: number | undefined;
  /** When manifests and configs were read: the layers are known. */
  listedAt: number | undefined;
  retries = 0;
  readonly #byChain: Map<Digest, LayerRecord> = new Map();
  readonly #byDigest: Map<Digest, LayerRecord[]> = new Map();

  add(event: ProgressEvent, now: number): void {
    if (event.type === "resolved") this.resolvedAt ??= now;
    else if (event.type === "layers") this.#list(event, now);
    else if (event.type === "pushing" || event.type === "pushed") return;
    else if (event.type === "applying" || event.type === "applied" || event.type === "committed") {
      this.#layer(event, now);
    } else if (event.type === "exists" && event.what === "snapshot") this.#layer(event, now);
    else if ("chainId" in event && event.chainId !== undefined) this.#layer(event, now);
    else this.#blob(event, now);
    if (event.type === "retry") this.retries += 1;
  }

  #list({ layers, diffIds }: ProgressEvent & { type: "layers" }, now: number): void {
    this.listedAt ??= now;
    const chain = chainIds(diffIds);
    let below: LayerRecord | undefined;
    for (const [index, descriptor] of layers.entries()) {
      below = this.#expect(descriptor, chain[index], below, now);
    }
  }

  #expect(
    { digest, size }: Descriptor,
    chainId: Digest | undefined,
    below: LayerRecord | undefined,
    now: number,
  ): LayerRecord {
    const known = chainId === undefined ? undefined : this.#byChain.get(chainId);
    if (known !== undefined) return known;
    const layer: LayerRecord = { digest, size, below, seenAt: now, applied: 0 };
    this.layers.push(layer);
    if (chainId !== undefined) this.#byChain.set(chainId, layer);
    const same = this.#byDigest.get(digest);
    if (same === undefined) this.#byDigest.set(digest, [layer]);
    else same.push(layer);
    return layer;
  }

  #layer(event: ProgressEvent & { descriptor: Descriptor; chainId?: Digest | undefined }, now: number): void {
    const { descriptor, chainId } = event;
    const named = chainId === undefined ? undefined : this.#byChain.get(chainId);
    const layer =
      named ??
      this.#byDigest.get(descriptor.digest)?.find((one) => one.end === undefined) ??
      this.#expect(descriptor, chainId, undefined, now);
    if (layer.end !== undefined) return;
    if (event.type === "applying") {
      layer.startedAt ??= now;
      layer.applied = event.bytes;
    } else if (event.type === "applied") layer.appliedAt = now;
    else if (event.type === "waiting" && (event.for ?? "other") === "other") layer.waitedAt ??= now;
    else if (event.type === "retry") {
      layer.applied = 0;
      layer.idleAt = now;
      layer.appliedAt = undefined;
    } else if (event.type === "committed" || event.type === "exists") {
      layer.end = event.type;
      layer.endedAt = now;
    }
  }

  #blob(event: ProgressEvent & { descriptor: Descriptor }, now: number): void {
    const blob = this.#blobOf(event.descriptor, now);
    if (blob.end !== undefined) return;
    if (event.type === "resumed") {
      blob.startedAt ??= now;
      blob.resumed = event.bytes;
      blob.bytes = event.bytes;
    } else if (event.type === "fetching") {
      blob.startedAt ??= now;
      this.#move(blob, event.bytes, now);
    } else if (event.type === "retry") {
      blob.resumed = 0;
      blob.bytes = 0;
    } else if (event.type === "fetched" || event.type === "exists") {
      if (event.type === "fetched") this.#move(blob, blob.size, now);
      blob.end = event.type;
      blob.endedAt = now;
    }
  }

  #blobOf({ digest, size, mediaType }: Descriptor, now: number): BlobRecord {
    const known = this.blobs.get(digest);
    if (known !== undefined) return known;
    const isLayer = isLayerType(mediaType) || this.#byDigest.has(digest);
    const blob: BlobRecord = { digest, size, isLayer, seenAt: now, bytes: 0, resumed: 0, moved: 0 };
    this.blobs.set(digest, blob);
    return blob;
  }

  #move(blob: BlobRecord, bytes: number, now: number): void {
    // Counts of unpacks are exact, those of downloads only now.
    for (const layer of this.#byDigest.get(blob.digest) ?? []) {
      if (layer.startedAt !== undefined && layer.applied >= bytes - slack) layer.idleAt = now;
    }
    blob.moved += Math.max(0, bytes - blob.bytes);
    blob.bytes = bytes;
  }
}
