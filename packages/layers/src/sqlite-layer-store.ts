import type { Digest } from "@varve/digest";
import { CodedError, hasCode } from "@varve/errors";
import { comparerOf } from "./comparer-of.ts";
import { LayerReference } from "./layer-reference.ts";
import {
  abandonedLayers,
  addReference,
  dropDeadReferences,
  dropReference,
  infoOf,
  readyAfter,
  readyLayer,
  setState,
} from "./layer-rows.ts";
import type { Referred } from "./layer-rows.ts";
import type { CallOptions, Layer, LayerArchive, LayerInfo, LayerStore, RegisterOptions } from "./layer-store.ts";
import { reconcileHolds } from "./reconcile-holds.ts";
import { registerLayer } from "./register-layer.ts";
import { dropAndMark, markRemoved, removeLeft, removeMarked } from "./remove-layers.ts";
import { removeLitter } from "./remove-litter.ts";
import type { ImportRW, RWImporter } from "./read-write/import.ts";
import type { CreateRWLayerOptions, ListedRWLayer, RWLayer } from "./read-write/rw-layer.ts";
import { RWLayers } from "./read-write/layers.ts";
import type { StoreParts } from "./store-parts.ts";
import { tarStreamFrom } from "./tar/stream-from.ts";
import { tarStream } from "./tar/stream.ts";

/** Layers that are read from the database at a time. */
const pageSize = 500;

/** The one implementation of `LayerStore`. */
export class SqliteLayerStore implements LayerStore, RWImporter {
  readonly #parts: StoreParts;
  /** References in the hands of callers. */
  readonly #references = new Set<number>();
  readonly #rw: RWLayers;
  #isClosed = false;

  constructor(parts: StoreParts) {
    this.#parts = parts;
    this.#rw = new RWLayers(parts, {
      mustBeOpen: () => this.#mustBeOpen(),
      hand: (referred) => this.#hand(referred),
    });
  }

  async register(archive: LayerArchive, options: RegisterOptions = {}): Promise<Layer> {
    this.#mustBeOpen();
    // Given out while the call counts as running, so that a close that waits for it finds the reference.
    return this.#parts.calls.run(options, async (signal) =>
      this.#hand(await registerLayer(this.#parts, archive, { ...options, signal })),
    );
  }

  async get(chainId: Digest, { signal }: CallOptions = {}): Promise<Layer> {
    this.#mustBeOpen();
    const { database, snapshotter } = this.#parts;
    const referred = await database.note((session) => {
      const layer = readyLayer(session, chainId);
      return { layer, reference: addReference(session, layer.id) };
    }, signal);
    try {
      await snapshotter.stat(chainId, { signal });
    } catch (error) {
      await database.freeSoon((session) => dropReference(session, referred.reference));
      if (!hasCode(error, "ERR_NOT_FOUND")) throw error;
      throw new CodedError("ERR_DATA_LOSS", `layer ${chainId}: its snapshot is gone`, { cause: error });
    }
    return this.#hand(referred);
  }

  async remove(chainId: Digest, { signal }: CallOptions = {}): Promise<readonly LayerInfo[]> {
    this.#mustBeOpen();
    const going = await this.#parts.database.free((session) => markRemoved(session, chainId), signal);
    await removeMarked(this.#parts, going, { signal });
    return going.map(infoOf);
  }

  async stat(chainId: Digest, { signal }: CallOptions = {}): Promise<LayerInfo> {
    this.#mustBeOpen();
    return infoOf(await this.#parts.database.read((session) => readyLayer(session, chainId), signal));
  }

  async *list({ signal }: CallOptions = {}): AsyncGenerator<LayerInfo, void, undefined> {
    this.#mustBeOpen();
    for (let last = ""; ;) {
      const after = last;
      const page = await this.#parts.database.read((session) => readyAfter(session, after, pageSize), signal);
      yield* page.map(infoOf);
      last = page.at(-1)?.chainId ?? "";
      if (page.length < pageSize) return;
    }
  }

  createRWLayer(name: string, options: CreateRWLayerOptions = {}): Promise<RWLayer> {
    return this.#rw.create(name, options);
  }

  getRWLayer(name: string, options: CallOptions = {}): Promise<RWLayer> {
    return this.#rw.get(name, options);
  }

  listRWLayers(options: CallOptions = {}): AsyncIterable<ListedRWLayer> {
    return this.#rw.list(options);
  }

  rwImporter(): ImportRW {
    this.#mustBeOpen();
    comparerOf(this.#parts);
    return (name, options) => this.#rw.import(name, options);
  }

  async cleanup(options: CallOptions = {}): Promise<void> {
    this.#mustBeOpen();
    const { database, files } = this.#parts;
    // They stand on others.
    await this.#rw.cleanup(options);
    const left = await database.free((session) => {
      dropDeadReferences(session);
      const layers = abandonedLayers(session);
      for (const { id } of layers) setState(session, id, "going");
      return layers;
    }, options.signal);
    await removeLitter(this.#parts, options);
    await removeLeft(this.#parts, left, options);
    await files.cleanup();
    await reconcileHolds(this.#parts, options);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const { calls, database } = this.#parts;
    try {
      await calls.stop();
      await this.#rw.close();
      await database.freeSoon((session) => {
        for (const reference of this.#references) dropReference(session, reference);
      });
    } finally {
      database.close();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #hand(referred: Referred): Layer {
    this.#references.add(referred.reference);
    return new LayerReference(referred, {
      tarStream: ({ layer }, options) => {
        this.#mustBeOpen();
        return this.#parts.calls.stream(options, (signal) => tarStream(this.#parts, layer, { signal }));
      },
      tarStreamFrom: ({ layer }, ancestor, options) => {
        this.#mustBeOpen();
        return this.#parts.calls.stream(options, (signal) => tarStreamFrom(this.#parts, layer, ancestor, { signal }));
      },
      release: (released, options) => this.#release(released, options),
      holds: ({ reference }) => this.#references.has(reference),
    });
  }

  async #release({ layer, reference }: Referred, options: CallOptions): Promise<readonly LayerInfo[]> {
    this.#mustBeOpen();
    const { database } = this.#parts;
    const going = (await database.free((session) => dropAndMark(session, reference, layer.id))) ?? [];
    this.#references.delete(reference);
    await removeMarked(this.#parts, going, options);
    return going.map(infoOf);
  }

  #mustBeOpen(): void {
    if (this.#isClosed) throw new CodedError("ERR_FAILED_PRECONDITION", "layer store: closed");
  }
}
