import type { TreeChange } from "@varve/diff";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { CallOptions, Layer, LayerArchive, LayerInfo } from "../layer-store.ts";
import type { Referred } from "../layer-rows.ts";
import { applyToRW } from "./apply.ts";
import { changesOfRW, commitRW, sizeOfRW, tarStreamOfRW } from "./compare.ts";
import type { AppliedToRW, ApplyToRWOptions, CommitRWLayerOptions, RWLayer } from "./rw-layer.ts";
import { mountRW, unmountRW } from "./mounts.ts";
import { changesOf } from "./names.ts";
import type { ReferredRW } from "./rows.ts";
import { runUnmounted } from "./unmounted.ts";
import type { StoreParts } from "../store-parts.ts";

/** What a reference asks its store for. */
export interface RWReferenceOwner {
  readonly parts: StoreParts;
  mustBeOpen(): void;
  hand(referred: Referred): Layer;
  release(referred: ReferredRW, options: CallOptions): Promise<readonly LayerInfo[]>;
}

/** A reference to a read-write layer in somebody's hands. */
export class RWReference implements RWLayer {
  readonly name: string;
  readonly parent: Digest | undefined;
  readonly snapshot: string;
  readonly #referred: ReferredRW;
  readonly #owner: RWReferenceOwner;
  #isReleased = false;

  constructor(referred: ReferredRW, owner: RWReferenceOwner) {
    this.name = referred.layer.name;
    this.parent = referred.layer.parent;
    this.snapshot = changesOf(referred.layer);
    this.#referred = referred;
    this.#owner = owner;
  }

  async mount(options: CallOptions = {}): Promise<string> {
    return mountRW(this.#held(), this.#referred, options);
  }

  async unmount(options: CallOptions = {}): Promise<void> {
    await unmountRW(this.#held(), this.#referred, "one", options);
  }

  async whileUnmounted<T>(work: () => Promise<T>, options: CallOptions = {}): Promise<T> {
    return runUnmounted(this.#held(), this.#referred, work, options);
  }

  async apply(archive: LayerArchive, options: ApplyToRWOptions = {}): Promise<AppliedToRW> {
    const parts = this.#held();
    return parts.calls.run(options, (signal) => applyToRW(parts, this.#referred, archive, { ...options, signal }));
  }

  async *changes(options: CallOptions = {}): AsyncGenerator<TreeChange, void, undefined> {
    const parts = this.#held();
    yield* parts.calls.stream(options, (signal) => changesOfRW(parts, this.#referred.layer, { signal }));
  }

  async size(options: CallOptions = {}): Promise<number> {
    const parts = this.#held();
    return parts.calls.run(options, (signal) => sizeOfRW(parts, this.#referred.layer, { signal }));
  }

  async *tarStream(options: CallOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    const parts = this.#held();
    yield* parts.calls.stream(options, (signal) => tarStreamOfRW(parts, this.#referred.layer, { signal }));
  }

  async commit(options: CommitRWLayerOptions = {}): Promise<Layer> {
    const parts = this.#held();
    return parts.calls.run(options, async (signal) =>
      this.#owner.hand(await commitRW(parts, this.#referred.layer, { ...options, signal })),
    );
  }

  async release(options: CallOptions = {}): Promise<readonly LayerInfo[]> {
    this.#held();
    options.signal?.throwIfAborted();
    const removed = await this.#owner.release(this.#referred, options);
    // Not before: what has failed can be repeated (S1.48).
    this.#isReleased = true;
    return removed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isReleased) return;
    await unmountRW(this.#held(), this.#referred, "all", {});
    await this.release();
  }

  #held(): StoreParts {
    this.#owner.mustBeOpen();
    if (!this.#isReleased) return this.#owner.parts;
    throw new CodedError("ERR_FAILED_PRECONDITION", `read-write layer ${this.name}: this reference was released`);
  }
}
