import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { Descriptor } from "@varve/oci";
import type { CallOptions, Layer, LayerInfo } from "./layer-store.ts";
import type { Referred } from "./layer-rows.ts";

/** What a reference asks its store for. */
export interface ReferenceOwner {
  tarStream(referred: Referred, options: CallOptions): AsyncGenerator<Uint8Array, void, undefined>;
  tarStreamFrom(
    referred: Referred,
    ancestor: Digest | undefined,
    options: CallOptions,
  ): AsyncGenerator<Uint8Array, void, undefined>;
  release(referred: Referred, options: CallOptions): Promise<readonly LayerInfo[]>;
  /** Whether the reference was not given back yet. */
  holds(referred: Referred): boolean;
}

/** A reference in somebody's hands. */
export class LayerReference implements Layer {
  readonly chainId: Digest;
  readonly diffId: Digest;
  readonly parent: Digest | undefined;
  readonly descriptor: Descriptor | undefined;
  readonly depth: number;
  readonly diffSize: number;
  readonly size: number;
  readonly #referred: Referred;
  readonly #owner: ReferenceOwner;
  #isReleased = false;

  constructor(referred: Referred, owner: ReferenceOwner) {
    const { layer } = referred;
    this.chainId = layer.chainId;
    this.diffId = layer.diffId;
    this.parent = layer.parent;
    this.descriptor = layer.descriptor;
    this.depth = layer.depth;
    this.diffSize = layer.diffSize;
    this.size = layer.size;
    this.#referred = referred;
    this.#owner = owner;
  }

  async *tarStream(options: CallOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    this.#mustBeHeld();
    yield* this.#owner.tarStream(this.#referred, options);
  }

  async *tarStreamFrom(ancestor?: Digest, options: CallOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    this.#mustBeHeld();
    yield* this.#owner.tarStreamFrom(this.#referred, ancestor, options);
  }

  async release(options: CallOptions = {}): Promise<readonly LayerInfo[]> {
    this.#mustBeHeld();
    options.signal?.throwIfAborted();
    this.#isReleased = true;
    try {
      return await this.#owner.release(this.#referred, options);
    } catch (error) {
      // What could not be recorded can be tried again.
      this.#isReleased = !this.#owner.holds(this.#referred);
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isReleased) await this.release();
  }

  #mustBeHeld(): void {
    if (!this.#isReleased) return;
    throw new CodedError("ERR_FAILED_PRECONDITION", `layer ${this.chainId}: this reference was released`);
  }
}
